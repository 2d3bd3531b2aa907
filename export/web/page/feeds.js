// A history to the inputs of a model file, by its contract (docs/model-file.md), as the Python scorer feeds it.
//
//     feedsOf(contract, { windows: [window], seen, candidates, k })   // {name: {values, shape}}

// Windows are whole steps, as Python's: of another length scores may differ in the last digits.
const STEP = 8;
// From this share of the items on the others are excluded, which takes less time than scoring some.
const EXCLUDE = 0.2;

export const windowLength = (contract, items) =>
  Math.min(contract.window.longest, Math.max(1, Math.ceil(items / STEP)) * STEP);

// The latest items, padded on the left.
export const windowOf = (items, length) => {
  const latest = items.slice(-length);
  return [...new Array(length - latest.length).fill(0), ...latest];
};

// windows: rows of one length.  seen: items that no row gets.  candidates: the only ones; empty: all.
export const feedsOf = (contract, { windows, seen, candidates, k }) => {
  const batch = windows.length;
  const length = windows[0].length;
  const padded = seen.length ? seen : [0];
  const given = {
    window: { values: windows.flat(), shape: [batch, length] },
    levels: { values: new Array(batch * length).fill(0), shape: [batch, length] },
    seen: { values: new Array(batch).fill(padded).flat(), shape: [batch, padded.length] },
    k: { values: [Math.min(k, contract.k.largest)], shape: [1] },
    candidates: { values: candidates, shape: [candidates.length] },
  };
  const feeds = {};
  for (const input of contract.inputs) {
    const none = input.shape_without_rules?.map((size) => (size === "batch" ? batch : size));
    feeds[input.name] = given[input.name] ?? { values: [], shape: none };
  }
  return feeds;
};

// What a filter and retired items leave: {candidates, excluded}, of which one is empty; null if nothing is left.
// allowed: places that the filter leaves, or null.  model: {contract, index: place -> index}.
export const choiceOf = (model, allowed) => {
  const retired = new Set(model.contract.retired);
  if (allowed === null && retired.size === 0) return { candidates: [], excluded: [] };
  const items = model.contract.ids.items;
  const chosen = new Set();
  if (allowed === null) for (let index = 1; index <= items; index += 1) chosen.add(index);
  else for (const place of allowed) if (model.index[place]) chosen.add(model.index[place]);
  for (const index of retired) chosen.delete(index);
  if (chosen.size === 0) return null;
  if (chosen.size < EXCLUDE * items) return { candidates: [...chosen].sort((a, b) => a - b), excluded: [] };
  const excluded = [];
  for (let index = 1; index <= items; index += 1) if (!chosen.has(index)) excluded.push(index);
  return { candidates: [], excluded };
};

// One row of an answer without what is no recommendation; equal scores by index.
export const listed = (contract, items, scores) =>
  items
    .map((item, rank) => ({ item, score: scores[rank] }))
    .filter(({ score }) => score > contract.dropped.score)
    .sort((a, b) => b.score - a.score || a.item - b.item);
