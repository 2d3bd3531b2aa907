// Fetch files of this folder with progress in bytes.
//
//     const files = new Files(sizes, (loaded, total) => ...);
//     const model = await files.bytes("models/hybrid/model.onnx");

// Sizes are those of the folder: a server that packs what it sends states others.
export class Files {
  constructor(sizes, onProgress) {
    this.sizes = sizes;
    this.onProgress = onProgress;
    this.loaded = 0;
    this.total = Object.values(sizes).reduce((sum, size) => sum + size, 0);
  }

  async bytes(name) {
    const size = this.sizes[name];
    const response = await fetch(new URL(name.split("/").map(encodeURIComponent).join("/"), import.meta.url));
    if (!response.ok) throw new Error(`${name} is not there (HTTP ${response.status}): reload the page`);
    const bytes = new Uint8Array(size);
    const reader = response.body.getReader();
    let read = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (read + value.length > size) throw new Error(`${name} has changed while it was loaded: reload the page`);
      bytes.set(value, read);
      read += value.length;
      this.loaded += value.length;
      this.onProgress(this.loaded, this.total);
    }
    if (read < size) throw new Error(`${name} ended after ${read} of ${size} bytes: reload the page`);
    return bytes;
  }

  async json(name) {
    return JSON.parse(new TextDecoder().decode(await this.bytes(name)));
  }
}
