// The AudioWorklet's side: calls the module for each quantum, and counts what that does to its memory.
//
// The module comes as bytes and is compiled here: this scope has no fetch, and not every browser hands a compiled module
// over to it.

// The order of Counters in src/lib.rs.
const COUNTERS = ["quanta", "notes", "refused", "sounding"];

// Callback times are counted in bins of so many microseconds; the last bin has the rest.
const BIN_MICROSECONDS = 20;
const BINS = 200;

class Strings extends AudioWorkletProcessor {
    constructor({ processorOptions: { bytes, reserve, score, total, ticks, ticksPerMillisecond } }) {
        super();
        const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
        this.synth = exports;
        this.isThere = exports.start(sampleRate, reserve) === 1;
        exports.play_score(score ? 1 : 0);
        this.total = total;
        this.clock = clockOf(ticks, ticksPerMillisecond);
        this.growths = 0;
        this.late = 0;
        this.longest = 0;
        this.bins = new Uint32Array(BINS);
        this.renewViews();
        this.port.onmessage = ({ data }) => this.take(data);
    }

    // Views of a memory that has grown are gone.
    renewViews() {
        const { memory, output, counters } = this.synth;
        this.buffer = memory.buffer;
        this.pages = this.buffer.byteLength / 65536;
        if (!this.isThere) return;
        this.left = new Float32Array(this.buffer, output(), 128);
        this.right = new Float32Array(this.buffer, output() + 512, 128);
        this.counters = new Uint32Array(this.buffer, counters(), COUNTERS.length);
    }

    take({ on, off, echo, score }) {
        if (on !== undefined) this.synth.note_on(on, echo);
        if (off !== undefined) this.synth.note_off(off);
        if (score !== undefined) this.synth.play_score(score ? 1 : 0);
        if (this.buffer !== this.synth.memory.buffer) this.grown();
    }

    grown() {
        this.growths++;
        this.renewViews();
    }

    process(_inputs, [[left, right]]) {
        if (!this.isThere) {
            this.port.postMessage({ error: "no memory" });
            return false;
        }
        const before = this.clock.now();
        this.synth.process();
        const microseconds = (this.clock.now() - before) * 1000;
        if (this.buffer !== this.synth.memory.buffer) this.grown();
        left.set(this.left);
        right.set(this.right);
        this.bins[Math.min(BINS - 1, Math.floor(microseconds / BIN_MICROSECONDS))]++;
        this.longest = Math.max(this.longest, microseconds);
        // It has taken longer than what it has rendered lasts.
        if (microseconds > 128e6 / sampleRate) this.late++;
        const quanta = this.counters[0];
        if (quanta === this.total || (this.total === undefined && quanta % 64 === 0)) this.report();
        return true;
    }

    report() {
        const counted = Object.fromEntries(COUNTERS.map((name, at) => [name, this.counters[at]]));
        const { growths, late, longest, pages, bins } = this;
        this.port.postMessage({ ...counted, growths, late, longest, pages, bins, binMicroseconds: BIN_MICROSECONDS, clock: this.clock.name });
    }
}

// Milliseconds, from the finest clock there is. This scope has no `performance` in most browsers; so a worker counts.
function clockOf(ticks, ticksPerMillisecond) {
    if (globalThis.performance) return { name: "performance.now", now: () => performance.now() };
    if (ticks) {
        const counter = new Uint32Array(ticks);
        return { name: "a worker that counts", now: () => Atomics.load(counter, 0) / ticksPerMillisecond };
    }
    return { name: "Date.now, in milliseconds", now: () => Date.now() };
}

registerProcessor("strings", Strings);
