// Recommend with a model file and the JSON beside it, with onnxruntime-node or onnxruntime-web.
//
//     npm install --ignore-scripts onnxruntime-node   (or onnxruntime-web)
//     node recommend.mjs hybrid.onnx                  # checks the golden vectors
//     node recommend.mjs hybrid.onnx 1,50,260         # a list for who had these items, oldest first
//
// The JavaScript API cannot read what a file says of itself, so hybrid.contract.json is read instead.

import { readFile } from "node:fs/promises";

const load = async () => {
  const name = process.env.ORT_PACKAGE;
  if (name) return import(name);
  return import("onnxruntime-node").catch(() => import("onnxruntime-web"));
};

const loaded = await load();
const ort = loaded.default ?? loaded;
const [path, history] = process.argv.slice(2);
const contract = JSON.parse(await readFile(path.replace(/\.onnx$/, ".contract.json"), "utf8"));
const session = await ort.InferenceSession.create(new Uint8Array(await readFile(path)));
const dtypes = Object.fromEntries(contract.inputs.map((input) => [input.name, input.dtype]));

// int64 is BigInt64Array in JavaScript.
const tensor = (name, values, shape) =>
  dtypes[name] === "int64"
    ? new ort.Tensor("int64", BigInt64Array.from(values, BigInt), shape)
    : new ort.Tensor("float32", Float32Array.from(values), shape);

const lists = async (feeds) => {
  const found = await session.run(feeds);
  return { items: Array.from(found.items.data, Number), scores: Array.from(found.scores.data) };
};

if (history === undefined) {
  for (const golden of contract.golden.cases) {
    const feeds = {};
    for (const [name, given] of Object.entries(golden.inputs)) feeds[name] = tensor(name, given.values, given.shape);
    const { items, scores } = await lists(feeds);
    const [wanted, expected, certain] = [golden.items.flat(), golden.scores.flat(), golden.certain.flat()];
    const right = wanted.every((item, place) => {
      const nothing = item === 0 && scores[place] <= contract.dropped.score;
      const close = Math.abs(scores[place] - expected[place]) <= contract.golden.tolerance;
      return (nothing || close) && (items[place] === item || !certain[place]);
    });
    if (items.length !== wanted.length || !right) {
      console.error(`other lists than expected: ${golden.name}`);
      process.exit(1);
    }
  }
  console.log(`${contract.golden.cases.length} cases give the expected lists`);
} else {
  const index = new Map(contract.item_ids.map((id, place) => [String(id), place + 1]));
  let known = history.split(",").map((id) => index.get(id)).filter(Boolean);
  if (!contract.window || known.length === 0) throw new Error("no item of this history is known, or no window is taken");
  // An item that comes again stands once, at its latest place.
  if (contract.history.repeats === "latest") known = [...new Set(known.reverse())].reverse();
  const window = known.slice(-contract.window.longest); // any length from 1 on, newest last
  const seen = contract.table_rules.seen === "keep" ? [0] : known; // padding: what was had may come again
  const plain = { window: [window, [1, window.length]], seen: [seen, [1, seen.length]], k: [[5], [1]] };
  plain.levels = [window.map(() => 0), [1, window.length]];
  const feeds = {};
  for (const input of contract.inputs) {
    const none = input.shape_without_rules?.map((size) => (size === "batch" ? 1 : size));
    feeds[input.name] = none ? tensor(input.name, [], none) : tensor(input.name, ...plain[input.name]);
  }
  const { items, scores } = await lists(feeds);
  items.forEach((item, place) => {
    if (scores[place] <= contract.dropped.score) return;
    console.log(contract.item_ids[item - 1], contract.titles?.[item - 1] ?? "", scores[place].toFixed(4));
  });
}
