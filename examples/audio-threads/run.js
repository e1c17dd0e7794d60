// The program's threads: one for audio, and others that allocate. Runs in pages and in Node.js.
import { firstOf } from "./thread.js";

const nodes = globalThis.process?.versions?.node ? await import("node:worker_threads") : undefined;
const PATIENCE = 30_000;

// A worker of `script`, and what it says, message by message. The first error rejects whoever waits.
export function newWorker(script, message) {
    const url = new URL(script, import.meta.url);
    const worker = nodes ? new nodes.Worker(url) : new Worker(url, { type: "module" });
    const said = [];
    let wake = () => {};
    const hear = (entry) => {
        said.push(entry);
        wake();
    };
    const fail = (error) => hear({ error });
    if (nodes) worker.on("message", (data) => hear({ data })).on("error", fail);
    else [worker.onmessage, worker.onerror] = [({ data }) => hear({ data }), fail];
    worker.postMessage(message);
    const next = async () => {
        while (said.length === 0) await new Promise((resolve) => (wake = resolve));
        const { data, error } = said.shift();
        if (error) throw new Error(error.message);
        return data;
    };
    return { worker, next };
}

// Starts `workers` threads that allocate, then has `play` do something with { memory, stack }; returns its result, and what
// has happened meanwhile.
export async function beside(module, workers, reserve, play) {
    const { memory, exports, newStack } = firstOf(module);
    if (exports.reserve(reserve) === 0) throw new Error("no memory");
    const threads = Array.from({ length: workers }, (_, at) =>
        newWorker("worker.js", { module, memory, stack: newStack(), seed: at + 1 }));
    for (const { next } of threads) await next();
    const [operations, snapshots, damaged, lockVisits] = [0, 1, 2, 3].map((number) => () => exports.worked(number));
    const growths = exports.alligator_growths();
    const pages = memory.buffer.byteLength;
    const before = operations();
    const played = await play({ memory, stack: newStack() });
    const after = operations();
    // Where there are fewer processors than threads, some have not run yet.
    const begin = performance.now();
    while (workers > 0 && snapshots() === 0 && performance.now() - begin < PATIENCE) await new Promise((resolve) => setTimeout(resolve, 1));
    const result = {
        ...played,
        growths: exports.alligator_growths() - growths,
        pages: (memory.buffer.byteLength - pages) / 65536,
        operations: after - before,
    };
    exports.stop();
    for (const { next, worker } of threads) {
        await next();
        await worker.terminate();
    }
    return { ...result, snapshots: snapshots(), damaged: damaged(), workersLockVisits: lockVisits() };
}
