// The time of one call of a program's `churn`, the least of some, in nanoseconds: node churn.mjs MODULE COUNT
import { readFile } from "node:fs/promises";
import { Recording } from "../../../../npm/record.js";

const [file, count] = process.argv.slice(2);
const module = await WebAssembly.compile(await readFile(file));
const records = WebAssembly.Module.customSections(module, "alligator.record").length > 0;
const recording = records ? new Recording(module) : null;
const instance = await WebAssembly.instantiate(module, recording?.imports({}) ?? {});
recording?.attach(instance);
const times = [];
for (let turn = 0; turn < 15; turn++) {
  const began = performance.now();
  instance.exports.churn(Number(count));
  times.push((performance.now() - began) * 1e6);
}
console.log(Math.round(Math.min(...times)));
