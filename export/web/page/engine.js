// The page's side of the worker.
//
//     const engine = new Engine();
//     await engine.load(about, onProgress, onCatalogue);
//     engine.recommend(question, onLists, onReasons);

export class Engine {
  constructor() {
    // Started from a blob, a worker keeps the page's content security policy; started from a file, it would have none.
    const source = `import ${JSON.stringify(new URL("worker.js", import.meta.url).href)};`;
    this.worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })), { type: "module" });
    this.number = 0;
    this.on = {};
    this.broken = null;
    // It may fail before anything is asked of it.
    this.failed = (message) => (this.broken = message);
    this.worker.onmessage = ({ data }) => this.#heard(data);
    this.worker.onerror = (event) => this.failed(event.message || "this browser cannot run the page's worker");
  }

  // The items come before the models are open.
  load(about, onProgress, onCatalogue) {
    return new Promise((resolve, reject) => {
      this.failed = (message) => reject(new Error(message));
      if (this.broken !== null) this.failed(this.broken);
      this.on.progress = ({ loaded, total }) => onProgress(loaded, total);
      this.on.catalogue = ({ catalogue }) => onCatalogue(catalogue);
      this.on.ready = resolve;
      this.worker.postMessage({ type: "load", about });
    });
  }

  // Only the newest question is answered.
  recommend(question, onLists, onReasons) {
    this.number += 1;
    this.on.lists = onLists;
    this.on.reasons = onReasons;
    this.worker.postMessage({ type: "recommend", number: this.number, ...question });
  }

  // What was asked is of no interest any more.
  forget() {
    this.number += 1;
    this.on.lists = this.on.reasons = () => {};
  }

  check() {
    return new Promise((resolve, reject) => {
      this.on.checked = ({ cases }) => resolve(cases);
      this.on.unchecked = ({ message }) => reject(new Error(message));
      this.worker.postMessage({ type: "check" });
    });
  }

  #heard(data) {
    if (data.number !== undefined && data.number !== this.number) return; // of an older question
    if (data.type === "failed") this.failed(data.message);
    else this.on[data.type]?.(data);
  }
}
