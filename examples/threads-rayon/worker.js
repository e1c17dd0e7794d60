// A worker: an instance of the module, with a stack of its own, whose exports are called by messages.

function listen(port) {
    let exports;
    const start = async ({ module, memory, stack, name }) => {
        ({ exports } = await WebAssembly.instantiate(module, { env: { memory } }));
        exports.__stack_pointer.value = stack;
        exports.__wasm_init_tls(stack);
    };
    // Held for as long as this worker is there: see `terminate` in workers.js.
    const hold = (name) => new Promise((resolve) => {
        if (!globalThis.WorkerGlobalScope) return resolve();
        navigator.locks.request(name, () => {
            resolve();
            return new Promise(() => {});
        });
    });
    port.onmessage = async ({ data: { start: begun, call, args } }) => {
        try {
            if (begun) {
                await hold(begun.name);
                await start(begun);
            }
            port.postMessage({ result: call && exports[call](...args) });
        } catch (error) {
            port.postMessage({ error: `${call ?? "start"}: ${error.stack}` });
        }
    };
}

if (globalThis.WorkerGlobalScope) listen(globalThis);
else import("node:worker_threads").then(({ parentPort }) => listen(parentPort));
