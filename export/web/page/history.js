// What was chosen, oldest first, kept in this browser alone.
//
//     const history = new History(catalogue);
//     history.add(place);

const KEY = `recommender ${location.pathname.replace(/index\.html$/, "")}`;

export class History {
  constructor(catalogue) {
    this.catalogue = catalogue;
    this.places = this.#read();
  }

  // Another tab of this browser may add, remove and clear, too.
  follow(onChange) {
    addEventListener("storage", ({ key }) => {
      if (key !== KEY && key !== null) return;
      this.places = this.#read();
      onChange();
    });
  }

  has(place) {
    return this.places.includes(place);
  }

  add(place) {
    if (this.has(place)) return;
    this.places.push(place);
    this.#write();
  }

  remove(place) {
    this.places = this.places.filter((other) => other !== place);
    this.#write();
  }

  clear() {
    this.places = [];
    this.#write();
  }

  // Ids are kept, not places: those of another day's page may be others.
  #read() {
    try {
      const ids = JSON.parse(localStorage.getItem(KEY) ?? "[]");
      return ids.map((id) => this.catalogue.place.get(id)).filter((place) => place !== undefined);
    } catch {
      return []; // nothing may be kept here, or something else was
    }
  }

  #write() {
    try {
      if (this.places.length === 0) localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, JSON.stringify(this.places.map((place) => this.catalogue.ids[place])));
    } catch {
      // It lasts as long as the page.
    }
  }
}
