// Runs the module in Node.js or in a browser without a window, and looks at what came out: node test.mjs node|chromium|firefox
//
// Asserted is what does not depend on the machine. Times are printed. Exit status 77 says that the browser is not there.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { mustBeThere, resultOf } from "../web/browser.mjs";
import { ALLOCATORS, churn, reportOf, run, textOf } from "./run.js";

const name = process.argv[2];
// Threads of Node.js 20 trap now and then where they make the memory grow themselves (docs/threads.md), and its first compiler
// loses what rayon's threads return: node --no-liftoff. Later versions need neither.
const work = { lines: 40_000, threads: 4, rounds: 3, reserve: name === "node" ? 96 << 20 : 0, churned: [60, 4 << 20] };
const SECONDS = 240;
// Pages that the last of the pools may add, of some 1,000.
const MORE_PAGES = 64;

async function inNode() {
    const result = {};
    for (const allocator of ALLOCATORS) {
        const module = await WebAssembly.compile(readFileSync(new URL(`pkg/${allocator}.wasm`, import.meta.url)));
        result[allocator] = await run(module, { text: textOf(work.lines), ...work });
        if (allocator === "alligator") result.growthsOfChurn = await churn(module, ...work.churned);
    }
    return result;
}

if (name !== "node") mustBeThere(name);
const folder = fileURLToPath(new URL(".", import.meta.url));
const path = `test.html?work=${encodeURIComponent(JSON.stringify(work))}`;
const result = name === "node" ? await inNode() : await resultOf(name, folder, path, SECONDS);

const wrong = [];
const expect = (holds, text) => holds || wrong.push(text);
const right = reportOf(textOf(work.lines));
for (const allocator of ALLOCATORS) {
    const { sequential, parallel, greetings, pages, growths, killed } = result[allocator];
    const fastest = (runs) => Math.min(...runs.map(({ milliseconds }) => milliseconds)).toFixed(0);
    console.log(`${allocator}: ${fastest(sequential)} ms by one thread, ${fastest(parallel)} ms by ${work.threads}, ${pages} pages, ${growths ?? "?"} growths`);
    for (const [what, runs] of Object.entries({ sequential, parallel })) {
        expect(runs.length === work.rounds, `${allocator}, ${what}: ${runs.length} rounds`);
        for (const { report } of runs) expect(report === right, `${allocator}, ${what}: another index:\n${report}`);
    }
    expect(greetings.every((count) => count === work.threads), `${allocator}: greetings of ${greetings} threads`);
    expect(pages.at(-1) <= pages[1] + MORE_PAGES, `${allocator}: pages after each pool: ${pages}`);
    if (allocator !== "alligator") continue;
    expect(work.reserve > 0 ? growths === 0 : growths > 0, `${growths} growths with ${work.reserve} bytes reserved`);
    expect(killed.id !== 0 && killed.isKnown, `the killed thread was not known: ${killed.id}`);
    expect(killed.isStill, "the killed thread goes on");
    expect(!killed.isKnownAgain, "the killed thread is known a second time");
    expect(killed.others === 100, `after that, another thread goes ${killed.others} rounds`);
}
expect(result.growthsOfChurn === 0, `the memory grows ${result.growthsOfChurn} times for ${work.churned[0]} threads, one after the other`);
for (const text of wrong) console.error(`error: ${text}`);
process.exit(wrong.length > 0 ? 1 : 0);
