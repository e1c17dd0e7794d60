// The page's side: a context with the synthesizer in it, live or offline.

export const ALLOCATORS = ["dlmalloc", "talc", "alligator", "alligator-fixed"];

async function bytesOf(allocator) {
    const response = await fetch(`pkg/${allocator}.wasm`);
    if (!response.ok) throw new Error(`pkg/${allocator}.wasm: ${response.status}; node build.mjs makes it`);
    return response.arrayBuffer();
}

// The synthesizer's node in `context`. `options` are the processor's.
export async function nodeIn(context, allocator, options) {
    const bytes = await bytesOf(allocator);
    await context.audioWorklet.addModule("processor.js");
    const node = new AudioWorkletNode(context, "strings", {
        numberOfInputs: 0,
        outputChannelCount: [2],
        processorOptions: { bytes, ...options },
    });
    node.connect(context.destination);
    return node;
}

// Renders so many quanta of the score: the samples' hash, and what was counted.
export async function renderOffline(allocator, quanta, reserve) {
    const context = new OfflineAudioContext({ numberOfChannels: 2, length: 128 * quanta, sampleRate: 48000 });
    const node = await nodeIn(context, allocator, { reserve, score: true, total: quanta });
    const counted = new Promise((resolve) => (node.port.onmessage = ({ data }) => resolve(data)));
    const rendered = await context.startRendering();
    return { hash: hashOf(rendered), ...(await counted) };
}

// FNV-1a of the samples' bits, quantum by quantum, left before right, as tests/wasm has it.
function hashOf(rendered) {
    const channels = [0, 1].map((at) => {
        const samples = rendered.getChannelData(at);
        return new Uint32Array(samples.buffer, samples.byteOffset, samples.length);
    });
    let hash = 0x811c9dc5;
    for (let quantum = 0; quantum < rendered.length; quantum += 128) {
        for (const bits of channels) {
            for (let at = quantum; at < quantum + 128; at++) hash = Math.imul(hash ^ bits[at], 0x01000193);
        }
    }
    return hash >>> 0;
}

// A worker that counts as fast as it can, and how fast that is; nothing where memory cannot be shared.
export async function startTicks() {
    if (!globalThis.crossOriginIsolated) return {};
    const ticks = new SharedArrayBuffer(4);
    const source = "onmessage = ({ data }) => { const counter = new Uint32Array(data); for (;;) Atomics.add(counter, 0, 1); };";
    const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
    worker.postMessage(ticks);
    const counter = new Uint32Array(ticks);
    while (Atomics.load(counter, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    const [from, at] = [Atomics.load(counter, 0), performance.now()];
    await new Promise((resolve) => setTimeout(resolve, 200));
    const ticksPerMillisecond = (Atomics.load(counter, 0) - from) / (performance.now() - at);
    return { ticks, ticksPerMillisecond, stop: () => worker.terminate() };
}
