// A worker that allocates without rest, until it is stopped.
import { instanceOf } from "./thread.js";

function listen(port) {
    port.onmessage = ({ data: { module, memory, stack, seed } }) => {
        const exports = instanceOf(module, memory, stack);
        port.postMessage("begun");
        exports.work(seed);
        exports.alligator_thread_exit();
        port.postMessage("ended");
    };
}

if (globalThis.WorkerGlobalScope) listen(globalThis);
else import("node:worker_threads").then(({ parentPort }) => listen(parentPort));
