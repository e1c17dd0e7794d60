// What Node.js runs for `alligator replay --v8`: modules 0.wasm, 1.wasm and so on replay the operations of `trace`
// (alligator-replay's `ops.rs` has the format). Prints nanoseconds of an operation, by module and round, as JSON.
'use strict';

const fs = require('node:fs');

const [moduleCount, blockCount, rounds] = process.argv.slice(2).map(Number);
// A copy: the place of a small file in its buffer may be no multiple of 4.
const bytes = Uint8Array.from(fs.readFileSync('trace'));
const ops = new Uint32Array(bytes.buffer);

/** Runs the trace on a fresh instance and gives the milliseconds. */
function run(module) {
  const { op_alloc, op_alloc_zeroed, op_dealloc, op_realloc } = new WebAssembly.Instance(module).exports;
  const blocks = new Int32Array(blockCount);
  const start = performance.now();
  for (let at = 0; at < ops.length; at += 3) {
    const head = ops[at];
    const size = ops[at + 1];
    const align = 1 << ((head >>> 2) & 63);
    const block = head >>> 8;
    let address;
    switch (head & 3) {
      case 0: address = op_alloc(size, align); break;
      case 1: op_dealloc(blocks[block], size, align); continue;
      case 2: address = op_realloc(blocks[block], size, align, ops[at + 2]); break;
      default: address = op_alloc_zeroed(size, align);
    }
    if (address === 0) throw new Error(`operation ${at / 3}: null`);
    blocks[block] = address;
  }
  return performance.now() - start;
}

const count = ops.length / 3;
const modules = [];
for (let index = 0; index < moduleCount; index++) {
  modules.push(new WebAssembly.Module(fs.readFileSync(`${index}.wasm`)));
}
const times = modules.map((module) => {
  try {
    // The compilers of JavaScript and WebAssembly are done after this.
    run(module);
    run(module);
    return [];
  } catch (error) {
    return String(error);
  }
});
for (let round = 0; round < rounds; round++) {
  for (let turn = 0; turn < moduleCount; turn++) {
    const index = (round + turn) % moduleCount;
    if (Array.isArray(times[index])) times[index].push((run(modules[index]) * 1e6) / count);
  }
}
const { node, v8 } = process.versions;
console.log(JSON.stringify({ version: `node ${node}, V8 ${v8}`, times }));
