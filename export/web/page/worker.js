// Runs the models, away from the page, so that it stays quick while a model opens.
//
// In: {type: "load" | "recommend" | "check"}. Out: {type: "progress" | "catalogue" | "ready" | "lists" | "reasons" | "checked" | "unchecked" | "failed"}.

import * as ort from "./vendor/onnxruntime-web/ort.js";
import { choiceOf, feedsOf, listed, windowLength, windowOf } from "./feeds.js";
import { Files } from "./loading.js";
import { reasonsOf, variants } from "./reasons.js";

const ROWS = 64; // windows of one run
const EVERY = 50; // milliseconds between two reports of progress
let models = [];
let newest = 0; // the number of the latest question: older ones are left

const tensor = (input, { values, shape }) =>
  input.dtype === "int64"
    ? new ort.Tensor("int64", BigInt64Array.from(values, BigInt), shape)
    : new ort.Tensor("float32", Float32Array.from(values), shape);

const words = (error) => String(error?.message ?? error);

// Rows of (items, scores).
const run = async (model, feeds) => {
  const tensors = {};
  for (const input of model.contract.inputs) tensors[input.name] = tensor(input, feeds[input.name]);
  const found = await model.session.run(tensors);
  const [rows, k] = found.items.dims;
  const items = Array.from(found.items.data, Number);
  const scores = Array.from(found.scores.data);
  return Array.from({ length: rows }, (_, row) => [
    items.slice(row * k, (row + 1) * k),
    scores.slice(row * k, (row + 1) * k),
  ]);
};

const load = async ({ about }) => {
  let told = 0;
  const files = new Files(about.files, (loaded, total) => {
    if (performance.now() - told < EVERY && loaded < total) return;
    told = performance.now();
    postMessage({ type: "progress", loaded, total });
  });
  const catalogue = await files.json("catalogue.json");
  postMessage({ type: "catalogue", catalogue });
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = 1; // more need headers that plain file servers do not send
  ort.env.wasm.wasmBinary = (await files.bytes("vendor/onnxruntime-web/ort.wasm")).buffer;
  for (const each of about.models) {
    const place = `models/${each.name}`;
    const contract = await files.json(`${place}/contract.json`);
    const nobody = about.files[`${place}/nobody.bin`]
      ? new Float32Array((await files.bytes(`${place}/nobody.bin`)).buffer)
      : null;
    const session = await ort.InferenceSession.create(await files.bytes(`${place}/model.onnx`), { logSeverityLevel: 3 });
    const places = each.places ?? catalogue.ids.map((_, number) => number);
    const index = new Array(catalogue.ids.length).fill(0);
    places.forEach((number, item) => (index[number] = item + 1));
    models.push({ ...each, contract, nobody, session, places, index });
    // A session's first run takes as long as many later ones.
    const first = { history: [places[0]], allowed: null, k: about.k, most: about.reasons };
    await explain(models.at(-1), first, await recommend(models.at(-1), first));
  }
  postMessage({ type: "ready" });
};

const known = (model, history) => history.map((place) => model.index[place]).filter(Boolean);

// The best k of one model: {items: places, ranked: indexes} or why there are none.
const recommend = async (model, { history, allowed, k }) => {
  const own = known(model, history);
  if (own.length === 0) return { why: "unknown", items: [] };
  const choice = choiceOf(model, allowed);
  if (choice === null) return { why: "nothing", items: [] };
  const window = windowOf(own, windowLength(model.contract, own.length));
  const seen = [...(model.repeats ? [] : own), ...choice.excluded];
  const [[items, scores]] = await run(
    model,
    feedsOf(model.contract, { windows: [window], seen, candidates: choice.candidates, k }),
  );
  const ranked = listed(model.contract, items, scores);
  return {
    why: ranked.length ? "" : "nothing",
    ranked: ranked.map(({ item }) => item),
    items: ranked.map(({ item }) => model.places[item - 1]),
    scores: ranked.map(({ score }) => score),
  };
};

// Of each recommendation the items of the history that raised its score.
const explain = async (model, { history, most }, list) => {
  const nothing = list.items.map(() => []);
  if (!model.nobody || !most || list.items.length === 0) return nothing;
  const { windows, dropped } = variants(model.contract, known(model, history));
  const candidates = [...list.ranked].sort((a, b) => a - b);
  const scores = [];
  for (let start = 0; start < windows.length; start += ROWS) {
    const rows = windows.slice(start, start + ROWS);
    const given = { windows: rows, seen: [], candidates, k: candidates.length };
    for (const [items, values] of await run(model, feedsOf(model.contract, given)))
      scores.push(new Map(items.map((item, rank) => [item, values[rank]])));
  }
  windows.forEach((window, row) => {
    if (window.every((item) => item === 0)) scores[row] = new Map(candidates.map((item) => [item, model.nobody[item]]));
  });
  return reasonsOf(dropped, scores, list.ranked, most).map((each) => each.map((item) => model.places[item - 1]));
};

// Let a newer question in; whether this one is still the newest.
const current = async (number) => {
  await new Promise((resolve) => setTimeout(resolve));
  return number === newest;
};

const answer = async (asked) => {
  const began = performance.now();
  const lists = [];
  for (const model of models) {
    if (!(await current(asked.number))) return;
    lists.push(await recommend(model, asked));
  }
  postMessage({ type: "lists", number: asked.number, lists, milliseconds: performance.now() - began });
  for (const [place, model] of models.entries()) {
    if (!(await current(asked.number))) return;
    const reasons = await explain(model, asked, lists[place]);
    const milliseconds = performance.now() - began;
    postMessage({ type: "reasons", number: asked.number, place, reasons, milliseconds });
  }
};

// What a golden case gives otherwise, in words; empty if it is right.
const difference = async (model, golden) => {
  const found = await run(model, golden.inputs);
  const { tolerance } = model.contract.golden;
  const floor = model.contract.dropped.score;
  for (const [row, [items, scores]] of found.entries()) {
    for (const [rank, wanted] of golden.items[row].entries()) {
      const expected = golden.scores[row][rank];
      const nothing = scores[rank] <= floor && expected <= floor;
      if (!nothing && !(Math.abs(scores[rank] - expected) <= tolerance))
        return `row ${row + 1}, rank ${rank + 1}: score ${scores[rank]}, expected ${expected}`;
      if (golden.certain[row][rank] && items[rank] !== wanted)
        return `row ${row + 1}, rank ${rank + 1}: item ${items[rank]}, expected ${wanted}`;
    }
    if (items.length !== golden.items[row].length) return `row ${row + 1} has ${items.length} items`;
  }
  return found.length === golden.items.length ? "" : `${found.length} rows`;
};

const check = async () => {
  const cases = [];
  for (const model of models)
    for (const golden of model.contract.golden.cases)
      cases.push({ model: model.label, name: golden.name, wrong: await difference(model, golden).catch(words) });
  postMessage({ type: "checked", cases });
};

// One after the other: a session runs one question at a time.
let queue = Promise.resolve();
onmessage = ({ data }) => {
  if (data.type === "recommend") newest = data.number;
  const todo = { load: () => load(data), recommend: () => answer(data), check }[data.type];
  const type = data.type === "check" ? "unchecked" : "failed";
  queue = queue
    .then(todo)
    .catch((error) => postMessage({ type, number: data.number, message: words(error) }));
};
