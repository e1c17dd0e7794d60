// The second program's time as a part of the first one's, in V8: node time.mjs FIRST.wasm SECOND.wasm RUNS
// Both run in turn; the medians count.
import { openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { WASI } from "node:wasi";

const [, , first, second, runs] = process.argv;
const stdout = openSync("/dev/null", "w");
const modules = await Promise.all([first, second].map(async (path) => WebAssembly.compile(await readFile(path))));

async function time(module) {
  const wasi = new WASI({ version: "preview1", args: ["program"], returnOnExit: true, stdout });
  const instance = await WebAssembly.instantiate(module, wasi.getImportObject());
  const start = performance.now();
  wasi.start(instance);
  return performance.now() - start;
}

const times = [[], []];
for (const module of modules) await time(module); // V8 compiles its best code meanwhile.
for (let i = 0; i < Number(runs); i++) {
  for (const which of [0, 1]) times[which].push(await time(modules[which]));
}
const median = (numbers) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
console.log(median(times[1]) / median(times[0]));
