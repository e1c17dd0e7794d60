// Terminates threads in the middle of their work: node kill.mjs MODULE.wasm DEATHS [untold]
// One thread works all the time; another begins, and is terminated after some milliseconds, again and again. The first
// must go on, and the memory must not grow with the deaths, since each is told by alligator_thread_gone.
import { readFile } from "node:fs/promises";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";

const STACK_BYTES = 65536;
/** Milliseconds within which the other thread must have gone on. */
const PATIENCE = 5000;
const ROUNDS = 2000;

async function instantiate({ module, memory, thread }) {
  const nothing = new Proxy({}, { get: () => () => { throw new Error("not here"); } });
  const imports = { env: { memory }, wasi_snapshot_preview1: nothing, wasi: nothing };
  const { exports } = await WebAssembly.instantiate(module, imports);
  const top = exports.stack_top(thread);
  exports.__stack_pointer.value = top;
  exports.__wasm_init_tls(top - STACK_BYTES); // Where the stack ends, which is never that long.
  return exports;
}

function fail(why) {
  console.error(why);
  process.exit(1);
}

if (isMainThread) {
  const [file, deaths, untold] = process.argv.slice(2);
  const module = await WebAssembly.compile(await readFile(file));
  const memory = new WebAssembly.Memory({ initial: 40, maximum: 16384, shared: true });
  const main = await instantiate({ module, memory, thread: 0 });
  if (main.reserve(8 << 20) === 0) fail("no memory");
  const start = (thread, told) => new Promise((resolve) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: { module, memory, thread } });
    worker.on("error", (error) => fail(`thread ${thread}: ${error.stack}`));
    worker.on("message", (message) => (message.id === undefined ? told() : resolve({ worker, id: message.id })));
  });
  let progress = 0;
  await start(1, () => { progress += 1; });
  let pagesAfterTen = 0;
  for (let death = 1; death <= Number(deaths); death++) {
    const { worker, id } = await start(2, () => {});
    if (id === 0) fail("a thread without a number");
    await new Promise((resolve) => setTimeout(resolve, 2 + (death * 7) % 9));
    await worker.terminate();
    const [before, begin] = [progress, performance.now()];
    while (progress < before + 2) {
      if (performance.now() - begin > PATIENCE) fail(`death ${death}: the other thread does not go on`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    if (!untold && main.alligator_thread_gone(id) !== 1) fail(`death ${death}: it was not known`);
    if (death === 10) pagesAfterTen = memory.buffer.byteLength / 65536;
  }
  const pages = memory.buffer.byteLength / 65536;
  console.log(`${deaths} deaths, ${pagesAfterTen} pages after ten, ${pages} now`);
  // What a terminated thread had in its hands is lost: some kilobytes each time.
  if (pages > pagesAfterTen + Number(deaths) * 2) fail(`${pages} pages, ${pagesAfterTen} after ten deaths`);
  process.exit(0);
} else {
  const exports = await instantiate(workerData);
  const { thread } = workerData;
  const check = (status) => { if (status !== 0) throw new Error(`status ${status}`); };
  check(exports.work(thread, 10));
  parentPort.postMessage({ id: exports.alligator_thread_id() });
  if (thread === 2) {
    for (;;) check(exports.work(thread, 1000 * ROUNDS));
  }
  const turn = () => {
    check(exports.work(thread, ROUNDS));
    parentPort.postMessage({});
    setImmediate(turn);
  };
  turn();
}
