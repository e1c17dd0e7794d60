// The time of one call of a program's `churn`, the mean of some, in nanoseconds that this thread was on a processor, where
// the system says that: node churn.mjs MODULE COUNT
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { Recording } from "../../../../npm/record.js";

const [file, count] = process.argv.slice(2);
const module = await WebAssembly.compile(await readFile(file));
const records = WebAssembly.Module.customSections(module, "alligator.record").length > 0;
const recording = records ? new Recording(module) : null;
const instance = await WebAssembly.instantiate(module, recording?.imports({}) ?? {});
recording?.attach(instance);

function onProcessor() {
  try {
    return Number(readFileSync("/proc/thread-self/schedstat", "utf8").split(" ")[0]);
  } catch {
    return performance.now() * 1e6;
  }
}

// The first call is compiled while it runs.
instance.exports.churn(Number(count));
let sum = 0;
for (let turn = 0; turn < 8; turn++) {
  const began = onProcessor();
  instance.exports.churn(Number(count));
  sum += onProcessor() - began;
  // What is kept is packed meanwhile.
  await new Promise((resolve) => setTimeout(resolve, 20));
}
console.log(Math.round(sum / 8));
