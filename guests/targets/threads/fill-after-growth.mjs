// Shows that an engine's memory.fill does not see the pages that another thread has just added: node fill-after-growth.mjs
// One thread grows the memory and says where by an atomic store; the other reads that by an atomic load and fills there,
// which is right by the threads proposal. Node 20 traps at once. The module, in text:
//
// (module (import "env" "memory" (memory 1 16384 shared))
//  ;; wait until word 0 is not $old, then fill one byte at the address it says, with no call between
//  (func (export "wait_fill") (param $old i32) (result i32) (local $a i32)
//   (loop $l
//     (local.set $a (i32.atomic.load (i32.const 0)))
//     (br_if $l (i32.eq (local.get $a) (local.get $old))))
//   (memory.fill (local.get $a) (i32.const 7) (i32.const 64))
//   (local.get $a))
//  (func (export "grow_tell") (result i32) (local $a i32)
//   (local.set $a (i32.mul (memory.grow (i32.const 1)) (i32.const 65536)))
//   (i32.atomic.store (i32.const 0) (local.get $a))
//   (local.get $a)))
import { Worker, isMainThread, workerData, parentPort } from "node:worker_threads";
const url = new URL(import.meta.url);
const BYTES =
  "AGFzbQEAAAABCgJgAX8Bf2AAAX8CEgEDZW52Bm1lbW9yeQIDAYCAAQMDAgABBxkCCXdhaXRfZmlsbAAACWdyb3dfdGVsbAABCj4CIgEBfwNAQQD+EAIAIQEgASAARg0ACyABQQdBwAD8CwAgAQsZAQF/QQFAAEGAgARsIQBBACAA/hcCACAACw==";
if (isMainThread) {
  const module = new WebAssembly.Module(Buffer.from(BYTES, "base64"));
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 16384, shared: true });
  const flags = new Int32Array(new SharedArrayBuffer(8));
  const other = new Worker(url, { workerData: { module, memory, flags } });
  other.on("message", (m) => { console.log(m); process.exit(0); });
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  await new Promise((r) => setTimeout(r, 500));
  let n = 0;
  const step = () => { for (let k = 0; k < 50 && n < 15000; k++) { n++;
      const a = exports.grow_tell();
      while (Atomics.load(flags, 0) !== a) if (Atomics.load(flags, 1)) return setTimeout(() => {}, 500); }
    if (n < 15000) setImmediate(step); else { console.log("no trap in", n, "growths"); process.exit(0); } };
  step();
} else {
  const { module, memory, flags } = workerData;
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  let old = 0, count = 0;
  try { for (;;) { old = exports.wait_fill(old); Atomics.store(flags, 0, old); count++; } }
  catch (e) { Atomics.store(flags, 1, 1); parentPort.postMessage(`after ${count}: ${e}`); }
}
