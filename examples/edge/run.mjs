// Serves requests on one instance under Node.js, and prints how long its memory is: node run.mjs [REQUESTS]
import { readFile } from "node:fs/promises";
import { WASI } from "node:wasi";

const file = new URL("target/wasm32-wasip1/release/edge.wasm", import.meta.url);
const wasi = new WASI({ version: "preview1" });
const { instance } = await WebAssembly.instantiate(await readFile(file), wasi.getImportObject());
wasi.initialize(instance);
const { memory, buffer, handle } = instance.exports;
const count = Number(process.argv[2] ?? 100_000);
let answer = "";
for (let number = 0; number < count; number++) {
    const items = Array.from({ length: number % 40 }, (_, at) => ({ name: `part ${at}`, count: at + 1, cents: 250 }));
    const body = JSON.stringify({ customer: `customer ${number % 50}`, items });
    const request = new TextEncoder().encode(`POST /order HTTP/1.1\r\nhost: edge\r\n\r\n${body}`);
    new Uint8Array(memory.buffer, buffer(), request.length).set(request);
    const length = handle(request.length);
    answer = new TextDecoder().decode(new Uint8Array(memory.buffer, buffer(), length));
    if (!answer.startsWith("HTTP/1.1 200")) throw new Error(answer);
    if (number === 100 || number === count - 1) console.log(`request ${number}: ${memory.buffer.byteLength >> 16} pages`);
}
console.log(answer.slice(answer.indexOf("{"), answer.indexOf("{") + 60), "...");
