// The page that one can hear.
import { nodeIn } from "./audio.js";
import { beside } from "./run.js";

const RESERVE = 64 << 20;
const HEAP_BYTES = 1 << 20;
const TITLES = { quanta: "callbacks", notes: "notes", refused: "refused", lockVisits: "visits to the lock in callbacks" };
const at = (id) => document.getElementById(id);

function show(counted) {
    at("counted").innerHTML = Object.entries(TITLES).map(([name, title]) => `<dt>${title}</dt><dd>${counted[name]}</dd>`).join("");
}

async function start() {
    if (!globalThis.crossOriginIsolated) throw new Error("no shared memory here: node ../web/serve.mjs sends the headers");
    const bytes = await (await fetch(`pkg/${at("heap").value}.wasm`)).arrayBuffer();
    const module = await WebAssembly.compile(bytes);
    return beside(module, Number(at("workers").value), RESERVE, async (threads) => {
        const context = new AudioContext({ sampleRate: 48000 });
        const node = await nodeIn(context, bytes, threads, HEAP_BYTES);
        let last = {};
        node.port.onmessage = ({ data }) => show((last = data));
        at("power").textContent = "Stop";
        await new Promise((resolve) => (at("power").onclick = resolve));
        await context.close();
        return last;
    });
}

async function power() {
    at("power").onclick = null;
    const done = await start().catch((error) => ({ error }));
    at("message").textContent = done.error?.message ?? `The workers have made ${done.operations} blocks, and looked at ${done.snapshots} snapshots.`;
    at("power").textContent = "Start";
    at("power").onclick = power;
}

at("power").onclick = power;
