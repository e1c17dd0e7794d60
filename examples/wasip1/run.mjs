// Runs words.wasm under Node.js: node run.mjs < FILE
import { readFile } from "node:fs/promises";
import { WASI } from "node:wasi";

const file = new URL("target/wasm32-wasip1/release/words.wasm", import.meta.url);
const wasi = new WASI({ version: "preview1" });
const { instance } = await WebAssembly.instantiate(await readFile(file), wasi.getImportObject());
wasi.start(instance);
