// Runs programs of several threads in Node.js (V8) and prints what each took, one line of JSON for each run:
//   node host.mjs MODULE.wasm shared|own RESERVE SEED PROGRAM:THREADS:STEPS ...
// "shared": one memory for all threads, with RESERVE bytes of it taken before they start. "own": a memory for each.
// `pages` are those of all memories when a run has ended. In "own", nobody gives a block to another thread: no xmalloc.
import { readFile } from "node:fs/promises";
import { WASI } from "node:wasi";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";

const PROGRAMS = ["pair", "local", "larson", "xmalloc", "handover", "thrash", "bursts", "churn"];
// What the modules ask for.
const INITIAL_PAGES = 21;
const PAGES_MAX = 32768;
// Who takes longer hangs.
const PATIENCE = 120_000;

/**
 * An instance of `module`; in shared `memory`, with a stack at `stack`, unless that is zero. Threads tell one another in
 * `over` that the bursts have all been made, also where they share no memory.
 */
async function instantiate(module, memory, stack, over) {
  const wasi = new WASI({ version: "preview1", args: [], env: {} });
  const imports = {
    ...wasi.getImportObject(),
    host: {
      now: () => performance.now(),
      is_over: () => Atomics.load(over, 0),
      end: () => void Atomics.store(over, 0, 1),
    },
    wasi: { "thread-spawn": () => -1 },
    ...(memory ? { env: { memory } } : {}),
  };
  const { exports } = await WebAssembly.instantiate(module, imports);
  wasi.initialize({ exports: { memory: memory ?? exports.memory } });
  if (stack !== 0) {
    exports.__stack_pointer.value = stack;
    exports.__wasm_init_tls(stack);
  }
  return exports;
}

if (isMainThread) {
  const [file, kind, reserve, seed, ...runs] = process.argv.slice(2);
  const module = await WebAssembly.compile(await readFile(file));
  const isShared = kind === "shared";
  const memory = isShared
    ? new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum: PAGES_MAX, shared: true })
    : undefined;
  const over = new Int32Array(new SharedArrayBuffer(4));
  const first = await instantiate(module, memory, 0, over);
  if (isShared && Number(reserve) > 0) first.reserve(Number(reserve));
  const threadsMax = Math.max(...runs.map((run) => Number(run.split(":")[1])));
  const workers = [];
  for (let thread = 0; thread < threadsMax; thread++) {
    const stack = isShared ? first.new_stack() : 0;
    const worker = new Worker(new URL(import.meta.url), { workerData: { module, memory, stack, over } });
    await new Promise((resolve) => worker.once("message", resolve));
    workers.push(worker);
  }
  const answer = (worker, message) => new Promise((resolve, reject) => {
    worker.once("error", reject);
    worker.once("message", resolve);
    worker.postMessage(message);
  });
  for (const run of runs) {
    const [name, threads, steps] = run.split(":");
    const number = PROGRAMS.indexOf(name);
    const visits = first.visits();
    const message = (thread) => ({
      number, thread, threads: isShared ? Number(threads) : 1, steps: Number(steps), seed: Number(seed),
    });
    const watchdog = setTimeout(() => {
      console.error(`${run}: no end after ${PATIENCE / 1000} s`);
      process.exit(1);
    }, PATIENCE);
    const begin = performance.now();
    const outcomes = await Promise.all(
      workers.slice(0, Number(threads)).map((worker, thread) => answer(worker, message(thread))));
    const wall = performance.now() - begin;
    clearTimeout(watchdog);
    const operations = outcomes.reduce((sum, outcome) => sum + outcome.operations, 0);
    if (outcomes.some((outcome) => outcome.operations < 0)) {
      console.error(`${run}: a block was damaged, or there was no memory`);
      process.exit(1);
    }
    // From the first that began to the last that ended.
    const start = Math.min(...outcomes.map((outcome) => outcome.begin));
    const end = Math.max(...outcomes.map((outcome) => outcome.end));
    const pages = isShared
      ? memory.buffer.byteLength / 65536
      : outcomes.reduce((sum, outcome) => sum + outcome.pages, 0);
    const result = { program: name, threads: Number(threads), operations, milliseconds: end - start, wall, pages };
    if (isShared) result.visits = first.visits() - visits;
    if (name === "bursts") result.bursts = outcomes[0].times;
    console.log(JSON.stringify(result));
    if (isShared) first.again();
    Atomics.store(over, 0, 0);
  }
  process.exit(0);
} else {
  const { module, memory, stack, over } = workerData;
  const exports = await instantiate(module, memory, stack, over);
  parentPort.postMessage("ready");
  parentPort.on("message", ({ number, thread, threads, steps, seed }) => {
    // The host starts all at once; they wait for one another before they begin.
    const begin = performance.timeOrigin + performance.now();
    const operations = exports.run(number, thread, threads, steps, seed);
    const end = performance.timeOrigin + performance.now();
    const buffer = (memory ?? exports.memory).buffer;
    const outcome = { operations, begin, end, pages: buffer.byteLength / 65536 };
    if (number === PROGRAMS.indexOf("bursts") && thread === 0) {
      const times = new Uint32Array(buffer.slice(exports.burst_times(), exports.burst_times() + 4 * steps));
      outcome.times = quantiles(times);
    }
    if (!memory) exports.again();
    parentPort.postMessage(outcome);
  });
}

/** Nanoseconds below which the given shares of `times` lie, and the most. */
function quantiles(times) {
  times.sort();
  const at = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))];
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999), p9999: at(0.9999), max: times[times.length - 1] };
}
