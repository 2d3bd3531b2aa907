// Texts without accents and capitals, and which of them hold a text anywhere.
//
//     [...holding(["千と千尋", "matrix"], "千尋")]   // [0]

const ACCENTS = /\p{Diacritic}/gu;

export const plain = (text) => text.normalize("NFD").replace(ACCENTS, "").toLowerCase();

// titles: plain ones.
export function* holding(titles, text) {
  const wanted = plain(text.trim());
  if (wanted) for (const [place, title] of titles.entries()) if (title.includes(wanted)) yield place;
}
