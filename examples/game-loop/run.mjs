// Plays at sixty frames a second under Node.js, a level every five seconds: node run.mjs [SECONDS]
import { readFile } from "node:fs/promises";

const file = new URL("target/wasm32-unknown-unknown/release/game_loop.wasm", import.meta.url);
const { instance } = await WebAssembly.instantiate(await readFile(file));
const { memory, start, level, frame } = instance.exports;
if (!start()) throw new Error("no memory");
const frames = Number(process.argv[2] ?? 15) * 60;
let number = 0, longest = 0;
const timer = setInterval(() => {
    if (number % 300 === 0) level(number / 300);
    const before = performance.now();
    const count = frame();
    longest = Math.max(longest, performance.now() - before);
    if (++number % 60 === 0) {
        console.log(`second ${number / 60}: ${count} asteroids, longest frame ${longest.toFixed(2)} ms, ${memory.buffer.byteLength >> 16} pages`);
        longest = 0;
    }
    if (number >= frames) clearInterval(timer);
}, 1000 / 60);
