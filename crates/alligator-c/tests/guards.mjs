// Runs a module that guards stop, and asks it why: node guards.mjs MODULE.wasm
import { deepEqual, equal, throws } from "node:assert/strict";
import { readFile } from "node:fs/promises";

const module = await WebAssembly.compile(await readFile(process.argv[2]));

/** A prepared instance. */
function start() {
  const { exports } = new WebAssembly.Instance(module);
  equal(exports.prepare(), 1);
  return exports;
}

/** Kind, size and alignment in bytes; of growth, the fewest pages. */
for (const [name, kind, size, alignment, pages] of [
  ["grow", 0, 0, 0, 200],
  ["move", 2, 8765, 16, 0],
  ["allocate", 3, 123, 16, 0],
  ["give_back", 4, 1024, 1, 0],
  ["resize", 5, 2345, 16, 0],
]) {
  const exports = start();
  equal(exports.last(0) >>> 0, 2 ** 32 - 1);
  throws(exports[name], WebAssembly.RuntimeError, name);
  deepEqual([0, 1, 2].map(exports.last), [kind, size, alignment], name);
  equal(exports.last(3) >= pages && (pages > 0 || exports.last(3) === 0), true, name);
  equal(exports.count(kind), 1, name);
  const counts = new Uint32Array(exports.memory.buffer, exports.counts(), 6);
  deepEqual([...counts], [0, 1, 2, 3, 4, 5].map((other) => (other === kind ? 1 : 0)), name);
}

const exports = start();
exports.nothing();
equal(exports.last(0) >>> 0, 2 ** 32 - 1);
