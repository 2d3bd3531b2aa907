// The items: titles, categories and a search by title. Items are called by their place, from 0.
//
//     const items = new Catalogue(values);
//     await items.indexed();
//     items.search("matr");   // places, best first

import { holding, plain } from "./terms.js";
import MiniSearch from "./vendor/minisearch/minisearch.js";

const FUZZY = 0.2; // of a word's length may be mistyped
const KNOWN = 1.5; // how much sooner what is popular is found
const CHUNK = 1000; // titles
const SHORTEST = 4; // letters of a word that may be mistyped

export class Catalogue {
  constructor(values) {
    Object.assign(this, values);
    const popular = new Set(this.popular);
    this.place = new Map(this.ids.map((id, place) => [id, place]));
    this.index = new MiniSearch({
      fields: ["title"],
      processTerm: (term) => plain(term) || null,
      searchOptions: {
        prefix: true,
        combineWith: "AND",
        fuzzy: (term) => (term.length < SHORTEST ? false : FUZZY),
        boostDocument: (place) => (popular.has(place) ? KNOWN : 1),
      },
    });
  }

  // Read all titles, some at a time, so that the page stays quick.
  indexed() {
    return this.index.addAllAsync(this.ids.map((_, place) => ({ id: place, title: this.title(place) })), {
      chunkSize: CHUNK,
    });
  }

  title(place) {
    return this.titles[place] ?? `${this.words.one} ${this.ids[place]}`;
  }

  labels(place) {
    return this.of[place].map((number) => this.categories[number]);
  }

  // By words; then what holds the text anywhere: Japanese, Chinese and Thai titles put no spaces between words.
  search(text, most) {
    const found = new Set(this.index.search(text).slice(0, most).map(({ id }) => id));
    this.plain ??= this.ids.map((_, place) => plain(this.title(place)));
    for (const place of holding(this.plain, text)) {
      if (found.size >= most) break;
      found.add(place);
    }
    return [...found];
  }

  // Places of a category; null: no filter.
  within(category) {
    if (category === null) return null;
    return this.of.flatMap((numbers, place) => (numbers.includes(category) ? [place] : []));
  }

  // [number, count] of each category, in their order.
  counted() {
    const counts = this.categories.map(() => 0);
    for (const numbers of this.of) for (const number of numbers) counts[number] += 1;
    return [...counts.entries()];
  }
}
