// Runs a program for wasm32-wasip1-threads so many times: node run.mjs MODULE.wasm RUNS
// Threads are workers; the program's first one, too, since Node's main thread must not wait.
import { readFile } from "node:fs/promises";
import { WASI } from "node:wasi";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";

const script = new URL(import.meta.url);

/** An instance of `module` for one thread. `ids` counts threads. */
async function instantiate({ module, memory, ids, args }) {
  const wasi = new WASI({ version: "preview1", args, env: {} });
  const spawn = (argument) => {
    const id = Atomics.add(ids, 0, 1);
    new Worker(script, { workerData: { module, memory, ids, args, id, argument } });
    return id;
  };
  const imports = { ...wasi.getImportObject(), env: { memory }, wasi: { "thread-spawn": spawn } };
  const instance = await WebAssembly.instantiate(module, imports);
  wasi.finalizeBindings(instance, { memory });
  return instance.exports;
}

if (isMainThread) {
  const [file, runs] = process.argv.slice(2);
  const module = await WebAssembly.compile(await readFile(file));
  for (let run = 0; run < Number(runs); run++) {
    const memory = new WebAssembly.Memory({ initial: 40, maximum: 16384, shared: true });
    const ids = new Int32Array(new SharedArrayBuffer(4)).fill(1);
    const args = run % 2 ? ["program", "reserved"] : ["program"];
    const main = new Worker(script, { workerData: { module, memory, ids, args } });
    const outcome = await new Promise((resolve) => {
      main.on("error", (error) => resolve(String(error)));
      main.on("exit", (code) => resolve(`exit code ${code}, no status`));
      main.on("message", resolve);
    });
    if (outcome !== 0) {
      console.error(`run ${run}: ${outcome}, ${memory.buffer.byteLength / 65536} pages`);
      process.exit(1);
    }
    await main.terminate();
  }
  process.exit(0);
} else if (workerData.id === undefined) {
  const exports = await instantiate(workerData);
  try {
    // A status that is not zero: `_start` ends by proc_exit.
    exports._start();
    parentPort.postMessage(0);
  } catch (error) {
    parentPort.postMessage(String(error));
  }
} else {
  const { wasi_thread_start: start } = await instantiate(workerData);
  try {
    start(workerData.id, workerData.argument);
  } catch (error) {
    // The other threads may wait for this one for ever.
    console.error(`thread ${workerData.id}: ${error}`);
    process.exitCode = 1;
    Atomics.store(workerData.ids, 0, -1_000_000);
    throw error;
  }
}
