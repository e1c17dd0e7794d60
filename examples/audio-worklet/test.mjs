// Runs the synthesizer in a browser without a window, and looks at what it has done: node test.mjs chromium|firefox [SECONDS]
//
// SECONDS is how long it is played live, half a second by default. Exit status 77 says that the browser is not there.
// Asserted is what does not depend on the machine: the samples, growths and refusals. The same score in Node.js says what
// the samples should be.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { mustBeThere, resultOf } from "../web/browser.mjs";

const QUANTA = 14_000;
const RESERVE = 8 << 20;
const LIVE_SECONDS = Number(process.argv[3] ?? 0.5);
const LIVE_QUANTA = Math.ceil((LIVE_SECONDS * 48000) / 128);
const SECONDS = 240 + LIVE_SECONDS;

const name = process.argv[2];
mustBeThere(name);

// The hash of the score's samples in Node.js: tests/wasm and synth.js have the same.
function hashHere(allocator) {
    const bytes = readFileSync(new URL(`pkg/${allocator}.wasm`, import.meta.url));
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
    exports.start(48000, RESERVE);
    exports.play_score(1);
    let hash = 0x811c9dc5;
    for (let quantum = 0; quantum < QUANTA; quantum++) {
        exports.process();
        for (const bits of new Uint32Array(exports.memory.buffer, exports.output(), 256)) hash = Math.imul(hash ^ bits, 0x01000193);
    }
    return hash >>> 0;
}

const wrong = [];
const expect = (holds, text) => holds || wrong.push(text);
const path = `test.html?quanta=${QUANTA}&reserve=${RESERVE}&live=${LIVE_QUANTA}`;
const result = await resultOf(name, fileURLToPath(new URL(".", import.meta.url)), path, SECONDS);
const hash = hashHere("alligator");
for (const { allocator, reserve, growths, refused, notes, quanta, hash: heard, pages, longest, clock } of result.offline) {
    const what = `${allocator}, ${reserve >> 20} MiB reserved`;
    console.log(`${what}: ${quanta} quanta, ${notes} notes, ${refused} refused, ${growths} growths, ${pages} pages, samples ${heard.toString(16)}; longest ${longest.toFixed(0)} µs by ${clock}`);
    expect(quanta === QUANTA, `${what}: ${quanta} quanta`);
    if (allocator === "alligator-fixed" && reserve < RESERVE) {
        expect(refused > 0 && growths === 0, `${what}: notes are refused, and nothing grows`);
        continue;
    }
    expect(heard === hash, `${what}: other samples than in Node.js, ${hash.toString(16)}`);
    expect(refused === 0, `${what}: notes are refused`);
    if (reserve === 0) expect(growths > 10, `${what}: ${growths} growths`);
    else if (allocator.startsWith("alligator")) expect(growths === 0, `${what}: a callback grows the memory`);
}
if (result.live.missing) {
    console.log(`live: left out: ${result.live.missing}`);
} else {
    const { quanta, notes, growths, refused, late, longest, clock } = result.live;
    console.log(`live: ${quanta} quanta, ${notes} notes, ${growths} growths, ${refused} refused; ${late} longer than a quantum, longest ${longest.toFixed(0)} µs by ${clock}`);
    expect(growths === 0 && refused === 0, "live: a callback grows the memory, or refuses a note");
}
for (const text of wrong) console.error(`error: ${text}`);
process.exit(wrong.length > 0 ? 1 : 0);
