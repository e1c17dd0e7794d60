// Runs a program for wasm32-wasip1-threads so many times: node run.mjs MODULE.wasm RUNS [growing]
// Its heap has its memory reserved when the threads start; with "growing" it has not, and then Node 20 traps now and then
// on a busy machine: a thread's memory.fill, in memory that another one has just added, is out of bounds to it
// (fill-after-growth.mjs shows that without any heap).
// Threads are workers; the program's first one, too, since Node's main thread must not wait.
import { writeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { WASI } from "node:wasi";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";

const script = new URL(import.meta.url);

/** An instance of `module` for one thread. */
async function instantiate({ module, memory, counts, args }) {
  const wasi = new WASI({ version: "preview1", args, env: {} });
  const spawn = (argument) => {
    const id = Atomics.add(counts, IDS, 1);
    new Worker(script, { workerData: { module, memory, counts, args, id, argument } });
    return id;
  };
  const imports = { ...wasi.getImportObject(), env: { memory }, wasi: { "thread-spawn": spawn } };
  const instance = await WebAssembly.instantiate(module, imports);
  wasi.initialize({ exports: { memory } }); // Node 20 has no finalizeBindings.
  return instance.exports;
}

/** Counts threads, and those that have failed. */
const IDS = 0;
const FAILED = 1;

/** One run: 0 if all is right. */
async function run(module, args) {
  const memory = new WebAssembly.Memory({ initial: 40, maximum: 16384, shared: true });
  const counts = new Int32Array(new SharedArrayBuffer(8));
  counts[IDS] = 1;
  const main = new Worker(script, { workerData: { module, memory, counts, args } });
  let watch;
  const outcome = await new Promise((resolve) => {
    main.on("message", resolve);
    main.on("error", (error) => resolve(String(error)));
    // A thread that fails can tell nobody else: its parent may wait for it for ever.
    watch = setInterval(() => Atomics.load(counts, FAILED) && resolve("a thread has failed"), 50);
  });
  clearInterval(watch);
  await main.terminate();
  return outcome === 0 ? 0 : `${outcome}, ${memory.buffer.byteLength / 65536} pages`;
}

if (isMainThread) {
  const [file, runs, growing] = process.argv.slice(2);
  const module = await WebAssembly.compile(await readFile(file));
  for (let turn = 0; turn < Number(runs); turn++) {
    const outcome = await run(module, growing ? ["program"] : ["program", "reserved"]);
    if (outcome !== 0) {
      console.error(`run ${turn}: ${outcome}`);
      process.exit(1);
    }
  }
  process.exit(0);
} else if (workerData.id === undefined) {
  const { _start: start } = await instantiate(workerData);
  try {
    start(); // A status that is not zero is an exception, too.
    parentPort.postMessage(0);
  } catch (error) {
    parentPort.postMessage(String(error));
  }
} else {
  const { wasi_thread_start: start } = await instantiate(workerData);
  try {
    start(workerData.id, workerData.argument);
  } catch (error) {
    writeSync(2, `thread ${workerData.id}: ${error.stack}\n`); // At once: the process may end before.
    Atomics.store(workerData.counts, FAILED, 1);
  }
}
