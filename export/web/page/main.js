// The page: load, then answer what is searched, chosen and filtered.

import { Catalogue } from "./catalogue.js";
import { check } from "./check.js";
import { Engine } from "./engine.js";
import { History } from "./history.js";
import { Lists } from "./lists.js";
import { combobox } from "./search.js";

const FOUND = 8; // titles below the field
const SUGGESTED = 12; // popular items, to begin with
const by = (id) => document.getElementById(id);
const megabytes = (bytes) => (bytes / 1e6).toFixed(1);

const fail = (message) => {
  by("loading").hidden = true;
  by("error").textContent = `This did not work: ${message}`;
};

const progress = (loaded, total) => {
  by("progress").value = loaded / total;
  by("loaded").textContent =
    loaded < total ? `${megabytes(loaded)} of ${megabytes(total)} MB` : "Opening the models \u2026";
};

const start = async () => {
  const engine = new Engine();
  const response = await fetch(new URL("recommender.json", import.meta.url));
  if (!response.ok) throw new Error(`recommender.json is not there (HTTP ${response.status})`);
  const about = await response.json();
  let items, indexed;
  await engine.load(about, progress, (values) => {
    items = new Catalogue(values);
    indexed = items.indexed(); // while the models open
  });
  await indexed;
  const page = new Page(about, engine, items);
  engine.failed = (message) => page.fails(message);
  by("loading").hidden = true;
  by("app").hidden = false;
  page.render();
  by("check-link").hidden = false;
  if (new URLSearchParams(location.search).has("check")) await check(engine, document);
};

class Page {
  constructor(about, engine, items) {
    Object.assign(this, { about, engine, items, history: new History(items), category: null });
    this.lists = new Lists(by("lists"), about.models, items, (place) => this.choose(place));
    this.history.follow(() => this.render());
    this.#words();
    this.#filter();
    combobox(by("search"), by("found"), (text) => this.#find(text), (option, place) => this.#fill(option, place), (place) =>
      this.choose(place),
    );
    by("clear").addEventListener("click", () => {
      this.history.clear();
      this.render();
      by("search").focus();
    });
    const popular = items.popular.slice(0, SUGGESTED).map((place) => this.#chip(place, "", () => this.choose(place)));
    by("popular-items").append(...popular);
  }

  choose(place) {
    this.history.add(place);
    this.render();
  }

  // Lists of an earlier question are not to stand below what is chosen now.
  fails(message) {
    fail(message);
    if (this.answered) return;
    this.lists.clear();
    by("status").textContent = "";
  }

  render() {
    const { places } = this.history;
    const chips = places.map((place) => this.#chip(place, "remove", () => this.#remove(place)));
    by("history").replaceChildren(...chips.reverse()); // the newest first
    by("history-empty").hidden = places.length > 0;
    by("clear").hidden = places.length === 0;
    by("popular").hidden = places.length > 0 || this.items.popular.length === 0;
    this.#recommend();
  }

  #recommend() {
    const { places } = this.history;
    this.answered = false;
    performance.clearMeasures(); // a browser would keep those of all questions
    if (places.length === 0) {
      this.engine.forget();
      this.lists.clear();
      by("status").textContent = `Choose ${this.items.words.a}, and recommendations appear here.`;
      return;
    }
    const began = performance.now();
    const allowed = this.items.within(this.category);
    const question = { history: [...places], allowed, k: this.about.k, most: this.about.reasons };
    this.engine.recommend(
      question,
      ({ lists }) => {
        this.answered = true;
        by("error").textContent = "";
        this.lists.show(lists);
        const milliseconds = Math.max(1, Math.round(performance.now() - began));
        const shown = lists.reduce((sum, { items }) => sum + items.length, 0);
        by("status").textContent = `${shown} recommendations in ${milliseconds} ms, from ${places.length} ${
          places.length === 1 ? this.items.words.one : this.items.words.many
        } you ${this.items.words.chosen}.`;
        performance.measure("update", { start: began, end: performance.now() });
      },
      ({ place, reasons }) => {
        this.lists.explain(place, reasons);
        performance.measure("reasons", { start: began, end: performance.now() });
      },
    );
  }

  #remove(place) {
    const at = [...this.history.places].reverse().indexOf(place);
    this.history.remove(place);
    this.render();
    const left = by("history").querySelectorAll("button");
    (left[Math.min(at, left.length - 1)] ?? by("search")).focus();
  }

  #find(text) {
    return this.items.search(text, FOUND + this.history.places.length).filter((p) => !this.history.has(p)).slice(0, FOUND);
  }

  #fill(option, place) {
    const title = document.createElement("span");
    title.textContent = this.items.title(place);
    const about = document.createElement("span");
    about.className = "about";
    about.textContent = this.items.labels(place).join(", ");
    option.append(title, about);
  }

  #chip(place, action, onClick) {
    const line = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "chip";
    button.dataset.place = place;
    button.textContent = this.items.title(place);
    if (action) button.setAttribute("aria-label", `${action} ${this.items.title(place)}`);
    if (action) button.classList.add(action);
    button.addEventListener("click", onClick);
    line.append(button);
    return line;
  }

  #filter() {
    const { words } = this.items;
    const select = by("filter");
    select.append(new Option(words.every, ""));
    for (const [number, count] of this.items.counted())
      select.append(new Option(`${this.items.categories[number]} (${count.toLocaleString("en")})`, number));
    by("filter-box").hidden = this.items.categories.length === 0;
    select.addEventListener("change", () => {
      this.category = select.value === "" ? null : Number(select.value);
      this.#recommend();
    });
  }

  #words() {
    const { words } = this.items;
    by("search-label").textContent = `Search ${words.many}`;
    by("search-help").textContent = "Type part of a title, then pick it from the list.";
    by("yours-title").textContent = `What you ${words.chosen}`;
    by("history-empty").textContent = "Nothing yet.";
    by("filter-label").textContent = words.category;
    by("about").textContent = `${this.items.ids.length.toLocaleString("en")} ${words.many}. Kept in this browser only: what you ${words.chosen}, until you clear it.`;
  }
}

start().catch((error) => fail(error.message));
