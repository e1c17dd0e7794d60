// Runs a program for wasm32-wasip1-threads that starts three threads, and writes its trace if it records:
// node threads.mjs MODULE TRACE
// Threads are workers, the program's first one as well, since Node's main thread must not wait. The main thread collects.
import { readFile, writeFile } from "node:fs/promises";
import { WASI } from "node:wasi";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";
import { Recording } from "../../../../npm/record.js";

const THREADS = 4;
const script = new URL(import.meta.url);

function worker(data) {
  const transferList = (data.from ?? []).filter(Boolean).map(({ port }) => port);
  return new Worker(script, { workerData: data, transferList });
}

if (isMainThread) {
  // A thread that fails can tell nobody: its parent waits for it.
  setTimeout(() => {
    console.error("threads.mjs: a thread does not end");
    process.exit(1);
  }, 120_000).unref();
  const [file, trace] = process.argv.slice(2);
  const module = await WebAssembly.compile(await readFile(file));
  const memory = new WebAssembly.Memory({ initial: 64, maximum: 16384, shared: true });
  const recording = trace === "-" ? null : new Recording(module);
  const from = recording ? Array.from({ length: THREADS }, () => recording.forThread().message) : null;
  const main = worker({ module, memory, ids: new SharedArrayBuffer(4), id: 0, from });
  const error = await new Promise((resolve) => main.on("message", resolve).on("error", resolve));
  if (error) throw error;
  if (recording) await writeFile(trace, await recording.trace("exit status 0"));
  process.exit(0);
}

const { module, memory, ids, id, from, argument } = workerData;
const wasi = new WASI({ version: "preview1", args: ["program"], env: {} });
const spawn = (argument) => {
  const id = Atomics.add(new Int32Array(ids), 0, 1) + 1;
  const own = from?.map((message, thread) => (thread === id ? message : undefined));
  worker({ module, memory, ids, id, from: own, argument });
  return id;
};
let imports = { ...wasi.getImportObject(), env: { memory }, wasi: { "thread-spawn": spawn } };
const recording = from ? new Recording(module, from[id]) : null;
imports = recording?.imports(imports) ?? imports;
const instance = await WebAssembly.instantiate(module, imports);
recording?.attach(instance);
wasi.initialize({ exports: { memory } }); // Node 20 has no finalizeBindings.
if (id === 0) instance.exports._start();
else instance.exports.wasi_thread_start(id, argument);
recording?.end();
if (id === 0) parentPort.postMessage(null);
