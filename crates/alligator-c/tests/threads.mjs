// Runs a module with shared memory in several threads: node threads.mjs MODULE.wasm
import { readFile } from "node:fs/promises";
import { Worker, isMainThread, workerData } from "node:worker_threads";

const THREADS = 4;
const STACK_BYTES = 65536;

/** An instance with a stack and thread-local variables of its own, at `address`. */
async function start(module, memory, address) {
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  if (address !== 0) {
    exports.__stack_pointer.value = address + STACK_BYTES;
    exports.__wasm_init_tls(address + STACK_BYTES);
  }
  return exports;
}

if (isMainThread) {
  const module = await WebAssembly.compile(await readFile(process.argv[2]));
  const memory = new WebAssembly.Memory({ initial: 32, maximum: 4096, shared: true });
  const first = await start(module, memory, 0);
  const outcomes = Array.from({ length: THREADS }, (_, index) => new Promise((resolve, reject) => {
    const address = first.aligned_alloc(65536, 2 * STACK_BYTES);
    const worker = new Worker(new URL(import.meta.url), { workerData: { module, memory, address, index } });
    worker.on("error", reject);
    worker.on("exit", resolve);
  }));
  const statuses = await Promise.all(outcomes);
  statuses.push(first.check());
  process.exitCode = Math.max(...statuses);
  if (process.exitCode !== 0) console.error(`exit statuses: ${statuses}`);
} else {
  const { module, memory, address, index } = workerData;
  const { run } = await start(module, memory, address);
  process.exitCode = run(index + 1);
}
