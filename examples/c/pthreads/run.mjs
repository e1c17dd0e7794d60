// Runs a WASI program with threads under Node.js: node --no-turbo-fast-api-calls run.mjs PROGRAM.wasm
// Each thread is a worker; the program's first one, too, since Node's own thread must not wait. The flag is for version 20.
import { readFile } from "node:fs/promises";
import { WASI } from "node:wasi";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";

// What the linker was told with --initial-memory and --max-memory, in pages.
const PAGES = { initial: 32, maximum: 16384 };

/** An instance for one thread. `next` has the number of the thread that is started next. */
async function instanceOf({ module, memory, next }) {
  const wasi = new WASI({ version: "preview1", args: ["program"], env: {} });
  const spawn = (argument) => {
    const id = Atomics.add(next, 0, 1);
    parentPort.postMessage({ id, argument });
    return id;
  };
  const imports = { ...wasi.getImportObject(), env: { memory }, wasi: { "thread-spawn": spawn } };
  const { exports } = await WebAssembly.instantiate(module, imports);
  wasi.initialize({ exports: { memory } }); // Version 20 has no finalizeBindings.
  return { wasi, exports };
}

/** Starts a thread. The first has no number, and ends the program. */
function start(common, thread) {
  const worker = new Worker(new URL(import.meta.url), { workerData: { ...common, thread } });
  worker.on("message", ({ id, argument, status }) => {
    if (status === undefined) start(common, { id, argument });
    else process.exit(status);
  });
  worker.on("error", (error) => {
    console.error(`thread ${thread.id ?? 0}: ${error.stack}`);
    process.exit(70); // Others might wait for it for ever.
  });
}

if (isMainThread) {
  const module = await WebAssembly.compile(await readFile(process.argv[2]));
  const memory = new WebAssembly.Memory({ ...PAGES, shared: true });
  start({ module, memory, next: new Int32Array(new SharedArrayBuffer(4)).fill(1) }, {});
} else {
  const { thread: { id, argument } } = workerData;
  const { wasi, exports } = await instanceOf(workerData);
  if (id === undefined) {
    let status = 0;
    try {
      exports._start();
    } catch (thrown) {
      if (typeof thrown !== "symbol") throw thrown;
      status = wasi[thrown]; // Node throws a symbol when the program exits, and keeps the status under it.
    }
    parentPort.postMessage({ status });
  } else {
    exports.wasi_thread_start(id, argument);
  }
}
