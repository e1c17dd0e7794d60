// A thread's instance of the module, on the memory of all: for workers, for the AudioWorklet, for Node.js.

// Bytes of a thread's stack. Its thread-local variables lie above.
export const STACK_BYTES = 1 << 16;

// What .cargo/config.toml says.
export const PAGES = { initial: 40, maximum: 16384 };

// The order of Counters in src/lib.rs.
const COUNTERS = ["quanta", "notes", "refused", "lockVisits"];

// The first thread's, on the linker's stack.
export function firstOf(module) {
    const memory = new WebAssembly.Memory({ ...PAGES, shared: true });
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    // Memory for another thread's stack.
    const newStack = () => {
        const block = exports.new_stack(STACK_BYTES + exports.__tls_size.value);
        if (block === 0) throw new Error("no memory for a stack");
        return block + STACK_BYTES;
    };
    return { memory, exports, newStack };
}

export function instanceOf(module, memory, stack) {
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    exports.__stack_pointer.value = stack;
    exports.__wasm_init_tls(stack);
    return exports;
}

// The audio thread's synthesizer. Views of shared memory stay as they are when it grows; they are too short then for what
// lies in the new part, which these do not need.
export class Synth {
    constructor(module, memory, stack, sampleRate, heapBytes) {
        this.exports = instanceOf(module, memory, stack);
        if (this.exports.audio_start(sampleRate, heapBytes) === 0) throw new Error("no memory for the audio thread");
        this.frames = new Float32Array(memory.buffer, this.exports.output(), 128);
        this.counters = new Uint32Array(memory.buffer, this.exports.counters(), COUNTERS.length);
    }

    process() {
        this.exports.process();
        return this.frames;
    }

    get counted() {
        return Object.fromEntries(COUNTERS.map((name, at) => [name, this.counters[at]]));
    }
}

// FNV-1a of samples' bits, from `hash` on.
export function hashOf(samples, hash = 0x811c9dc5) {
    for (const bits of new Uint32Array(samples.buffer, samples.byteOffset, samples.length)) hash = Math.imul(hash ^ bits, 0x01000193);
    return hash;
}
