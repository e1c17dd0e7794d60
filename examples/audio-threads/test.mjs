// Plays the score beside workers that allocate without rest, in Node.js or in a browser without a window, and looks at what
// has happened: node test.mjs node|chromium|firefox
//
// The same score, played alone in Node.js, says what the samples should be. Exit status 77 says that the browser is not there.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { mustBeThere, resultOf } from "../web/browser.mjs";
import { beside, newWorker } from "./run.js";

const work = { total: 20_000, workers: 3, reserve: 64 << 20, heapBytes: 1 << 20 };
const SECONDS = 240;

function inNode(build, { workers, total, reserve, heapBytes }) {
    const module = new WebAssembly.Module(readFileSync(new URL(`pkg/${build}.wasm`, import.meta.url)));
    return beside(module, workers, reserve, async ({ memory, stack }) => {
        const { worker, next } = newWorker("player.js", { module, memory, stack, heapBytes, total });
        const played = await next();
        await worker.terminate();
        return played;
    });
}

function inBrowser(name) {
    const path = `test.html?work=${encodeURIComponent(JSON.stringify(work))}`;
    return resultOf(name, fileURLToPath(new URL(".", import.meta.url)), path, SECONDS);
}

const wrong = [];
const expect = (holds, text) => holds || wrong.push(text);
const print = (what, { quanta, notes, refused, lockVisits, growths, operations, snapshots, workersLockVisits }) =>
    console.log(`${what}: ${quanta} callbacks, ${notes} notes, ${refused} refused, ${lockVisits} visits to the lock, ${growths} growths; workers: ${operations} blocks meanwhile, ${snapshots} snapshots, ${workersLockVisits} visits to the lock`);

const name = process.argv[2];
if (name !== "node") mustBeThere(name);
const alone = await inNode("own-heap", { ...work, workers: 0 });
print("alone", alone);
const result = name === "node" ? await inNode("own-heap", work) : await inBrowser(name);
print(`beside ${work.workers} workers`, result);
expect(result.quanta === work.total && result.notes > 1000, `${result.quanta} callbacks, ${result.notes} notes`);
expect(result.hash === alone.hash, `other samples, ${result.hash.toString(16)}, than alone, ${alone.hash.toString(16)}`);
expect(result.refused === 0, `${result.refused} times there was no room`);
expect(result.lockVisits === 0, `${result.lockVisits} visits to the lock in callbacks`);
expect(result.growths === 0 && result.pages === 0, `${result.growths} growths, ${result.pages} pages`);
expect(result.operations > 0 && result.workersLockVisits > 0, "the workers have done nothing");
expect(result.snapshots > 0, "no worker has got a snapshot");
expect(result.damaged === 0, `${result.damaged} blocks were damaged`);

if (name === "node") {
    // On the heap of all, the callbacks come to the lock, or else this test sees nothing.
    const shared = await inNode("shared-heap", work);
    print("on the shared heap", shared);
    expect(shared.lockVisits > 0, "no visit to the lock is counted on the shared heap");
    expect(shared.hash === alone.hash, "other samples on the shared heap");
    // Where its own heap is full, a note is refused, and nothing else happens.
    const short = await inNode("own-heap", { ...work, heapBytes: 4 << 10 });
    print("in 4 KiB", short);
    expect(short.refused > 0, "nothing is refused in 4 KiB");
    expect(short.lockVisits === 0 && short.growths === 0, "in 4 KiB, the audio thread comes to the lock");
}
for (const text of wrong) console.error(`error: ${text}`);
process.exit(wrong.length > 0 ? 1 : 0);
