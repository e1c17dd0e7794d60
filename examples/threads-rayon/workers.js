// The page's side of threads: workers, each with an instance of the module on one shared memory. Runs in pages and in
// Node.js, where a module's own loader is the same.

const nodes = globalThis.process?.versions?.node ? await import("node:worker_threads") : undefined;

// Bytes of a worker's stack. Its thread-local variables lie above.
const STACK_BYTES = 1 << 20;
const INITIAL_PAGES = 40;
// What .cargo/config.toml says.
const PAGES_MAX = 16384;

// The module on a memory of its own. The caller's instance is the program's first thread, on the linker's stack.
export class Program {
    constructor(module) {
        this.module = module;
        this.memory = new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum: PAGES_MAX, shared: true });
        this.exports = new WebAssembly.Instance(module, { env: { memory: this.memory } }).exports;
        this.workers = 0;
    }

    get pages() {
        return this.memory.buffer.byteLength / 65536;
    }

    // How often the heap has made the memory grow; undefined where the allocator does not say.
    get growths() {
        return this.exports.alligator_growths?.();
    }

    // All of the memory. A view is renewed when a thread, whichever it was, has made the memory grow.
    get bytes() {
        const { growths } = this;
        if (this.view === undefined || growths === undefined || growths !== this.seen) {
            this.view = new Uint8Array(this.memory.buffer);
            this.seen = growths;
        }
        return this.view;
    }

    // A worker in which exports can be called: `call(name, ...arguments)`, one at a time.
    async newThread() {
        const localBytes = this.exports.__tls_size.value;
        const block = this.exports.new_block(STACK_BYTES + localBytes);
        if (block === 0) throw new Error("no memory for a stack");
        const url = new URL("worker.js", import.meta.url);
        const worker = nodes ? new nodes.Worker(url) : new Worker(url, { type: "module" });
        const name = `worker ${this.workers++} at ${performance.timeOrigin}`;
        let answer;
        const heard = (data) => (data.error ? answer.reject(new Error(data.error)) : answer.resolve(data.result));
        const failed = (error) => answer.reject(new Error(error.message));
        if (nodes) worker.on("message", heard).on("error", failed);
        else [worker.onmessage, worker.onerror] = [({ data }) => heard(data), failed];
        const ask = (message) => new Promise((resolve, reject) => {
            answer = { resolve, reject };
            worker.postMessage(message);
        });
        await ask({ start: { module: this.module, memory: this.memory, stack: block + STACK_BYTES, name } });
        const call = (name, ...args) => ask({ call: name, args });
        return { worker, name, block, bytes: STACK_BYTES + localBytes, call };
    }

    // Ends a worker that waits for calls: what its thread keeps goes back to the heap, and its stack, too.
    async end(thread) {
        if (this.exports.alligator_thread_exit) await thread.call("alligator_thread_exit");
        await terminate(thread);
        this.exports.free_block(thread.block, thread.bytes);
    }

    // Ends a worker whatever it does. `id` is its alligator_thread_id. What it keeps goes back; blocks that it uses do not.
    // True if the heap knew it.
    async kill(thread, id) {
        await terminate(thread);
        const isKnown = this.exports.alligator_thread_gone?.(id) === 1;
        this.exports.free_block(thread.block, thread.bytes);
        return isKnown;
    }
}

// Returns when the worker surely runs no more. In a page `terminate` returns before that, and nothing says when; but each
// worker holds a lock of the browser's, which is somebody else's only when it has ended.
async function terminate({ worker, name }) {
    await worker.terminate();
    if (!nodes) await navigator.locks.request(name, () => {});
}
