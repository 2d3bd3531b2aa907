// Which items of a history raised a score most: by how much it falls without them (infer/scoring/occlusion.py).
//
//     const { windows, dropped } = variants(contract, history);   // the whole first, then without each item
//     reasonsOf(dropped, scores, 2)                               // [[item, ...], ...] of each recommendation

import { windowLength, windowOf } from "./feeds.js";

const ROUNDING = 1e-5; // of the score: a smaller difference is one of rounding

// Windows of one length. With `padding` an item's place is left empty; else older items move up.
export const variants = (contract, history) => {
  const length = windowLength(contract, history.length);
  const whole = windowOf(history, length);
  const dropped = [...new Set(whole.filter((item) => item > 0))];
  const without = dropped.map((item) =>
    contract.attribution === "padding"
      ? whole.map((other) => (other === item ? 0 : other))
      : windowOf(history.filter((other) => other !== item), length),
  );
  return { windows: [whole, ...without], dropped };
};

// scores: of each window a Map of item to score.  Of equal contributions the newest comes first.
export const reasonsOf = (dropped, scores, wanted, most) =>
  wanted.map((item) => {
    const whole = scores[0].get(item);
    return dropped
      .map((because, place) => ({ because, place, value: whole - scores[place + 1].get(item) }))
      .filter(({ value }) => value > ROUNDING * Math.abs(whole))
      .sort((a, b) => b.value - a.value || b.place - a.place)
      .slice(0, most)
      .map(({ because }) => because);
  });
