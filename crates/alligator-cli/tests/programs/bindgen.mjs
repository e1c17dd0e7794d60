// Calls a library as wasm-bindgen's JavaScript does, prints what it gives, and writes its trace if it records:
// node bindgen.mjs MODULE TRACE
import { readFile, writeFile } from "node:fs/promises";
import { Recording } from "../../../../npm/record.js";

const [file, trace] = process.argv.slice(2);
// Whoever starts the module does not know that it records.
const recordings = trace === "-" ? null : Recording.next();
const { instance } = await WebAssembly.instantiate(await readFile(file), {});
const { __wbindgen_malloc: malloc, __wbindgen_realloc: realloc, __wbindgen_free: free, work } = instance.exports;
const recording = await recordings;
const blocks = [malloc(100, 1), malloc(8, 4)];
recording?.mark("work");
const sum = work(2000);
blocks[0] = realloc(blocks[0], 100, 3000, 1);
free(blocks[0], 3000, 1);
console.log(sum >>> 0, blocks.join(" "));
if (recording) await writeFile(trace, await recording.trace());
