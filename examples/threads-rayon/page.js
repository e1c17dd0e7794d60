// The page: both allocators on a text of as many lines as one wants.
import { ALLOCATORS, run, textOf } from "./run.js";

const ROUNDS = 3;
const at = (id) => document.getElementById(id);
const modules = ALLOCATORS.map((name) => WebAssembly.compileStreaming(fetch(`pkg/${name}.wasm`)));

at("threads").value = Math.min(64, navigator.hardwareConcurrency);

function show(row, name, lines, { threads, sequential, parallel, pages, growths }) {
    const rate = (runs) => (lines / Math.min(...runs.map(({ milliseconds }) => milliseconds))).toFixed(0);
    const reports = new Set([...sequential, ...parallel].map(({ report }) => report));
    if (reports.size !== 1) at("message").textContent = `${name}: the threads' index is another one`;
    at("report").textContent = [...reports].join("\n\n");
    const cells = [name, threads, rate(sequential), rate(parallel), pages.at(-1), growths ?? ""];
    row.innerHTML = cells.map((cell) => `<td>${cell}</td>`).join("");
}

async function compare() {
    if (!globalThis.crossOriginIsolated) throw new Error("no shared memory here: node ../web/serve.mjs sends the headers");
    const lines = Number(at("lines").value);
    const text = textOf(lines);
    for (const [index, name] of ALLOCATORS.entries()) {
        const row = at("results").insertRow();
        row.innerHTML = `<td>${name}</td>`;
        const options = { text, threads: Number(at("threads").value), rounds: ROUNDS, reserve: 0 };
        const progress = (result) => show(row, name, lines, result);
        show(row, name, lines, await run(await modules[index], options, progress));
    }
}

at("go").onclick = async () => {
    at("go").disabled = true;
    at("message").textContent = "";
    await compare().catch((error) => (at("message").textContent = error.message));
    at("go").disabled = false;
};
