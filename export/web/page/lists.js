// The lists of all models, side by side.
//
//     const lists = new Lists(box, models, catalogue, (place) => ...);
//     lists.show(found); lists.explain(place, reasons);

const element = (name, className, text) => {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};

export class Lists {
  constructor(box, models, catalogue, onChoose) {
    this.box = box;
    this.models = models;
    this.catalogue = catalogue;
    this.onChoose = onChoose;
    box.dataset.models = models.length;
    this.bodies = models.map((model, number) => {
      const section = element("section", "model");
      const title = element("h3", models.length === 1 ? "unseen" : "", model.label);
      title.id = `model-${number}`;
      section.setAttribute("aria-labelledby", title.id);
      title.tabIndex = -1;
      const body = element("div");
      section.append(title, body);
      box.append(section);
      return body;
    });
    this.jump = document.getElementById("jump");
    this.jump.append(
      ...models.map((model, number) => {
        const link = element("a", "", model.label);
        link.href = `#model-${number}`;
        return link;
      }),
    );
  }

  clear() {
    for (const body of this.bodies) body.replaceChildren();
    this.box.hidden = this.jump.hidden = true;
  }

  // found: of each model {items, why}.
  show(found) {
    const focused = this.#focused();
    this.box.hidden = false;
    this.jump.hidden = this.models.length === 1;
    const often = new Map();
    for (const { items } of found) for (const place of items) often.set(place, (often.get(place) ?? 0) + 1);
    found.forEach(({ items, why }, number) => {
      const body = this.bodies[number];
      if (items.length === 0) body.replaceChildren(element("p", "help", this.#reason(why)));
      else {
        const list = element("ol", "cards");
        list.setAttribute("role", "list"); // which some browsers forget of lists without marks
        list.setAttribute("aria-labelledby", `model-${number}`);
        list.append(...items.map((place) => this.#card(place, often.get(place))));
        body.replaceChildren(list);
      }
    });
    if (focused) this.#focus(focused);
  }

  // reasons: of each recommendation places of the history.
  explain(number, reasons) {
    const lines = this.bodies[number].querySelectorAll(".because");
    reasons.forEach((places, rank) => {
      if (!lines[rank] || places.length === 0) return;
      const titles = places.map((place) => this.catalogue.title(place)).join(" and ");
      lines[rank].textContent = `because you ${this.catalogue.words.chosen} ${titles}`;
    });
  }

  #card(place, times) {
    const card = element("li", "card");
    card.dataset.place = place;
    const add = element("button", "add");
    add.type = "button";
    add.append(element("span", "title", this.catalogue.title(place)));
    const hint = element("span", "unseen", `, add to what you ${this.catalogue.words.chosen}`);
    add.append(hint);
    add.addEventListener("click", () => this.onChoose(place));
    const about = element("span", "about", this.catalogue.labels(place).join(", "));
    if (this.models.length > 1 && times > 1) about.append(" ", element("span", "shared", `in ${times} lists`));
    card.append(add, about);
    card.append(element("span", "because", "\u00a0"));
    return card;
  }

  #reason(why) {
    const { words } = this.catalogue;
    return why === "unknown" ? `This model knows none of your ${words.many}.` : `No ${words.one} is left to recommend.`;
  }

  // The list and rank of the button that has the focus, which a new list takes away.
  #focused() {
    const card = document.activeElement?.closest?.(".card");
    const number = this.bodies.findIndex((body) => card && body.contains(card));
    return number < 0 ? null : { number, rank: [...card.parentElement.children].indexOf(card) };
  }

  #focus({ number, rank }) {
    const buttons = this.bodies[number].querySelectorAll("button.add");
    (buttons[Math.min(rank, buttons.length - 1)] ?? document.getElementById("recommended-title")).focus();
  }
}
