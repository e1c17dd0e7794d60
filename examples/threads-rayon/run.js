// What the page and the tests do with the module: indexes of a text by one thread and by all, threads that end, and one
// that is killed.
import { Program } from "./workers.js";

export const ALLOCATORS = ["alligator", "dlmalloc"];

// A text of so many lines, the same each time: words are the more frequent the shorter they are.
export function textOf(lines) {
    let random = 0x2545f491;
    const below = (end) => {
        random ^= random << 13;
        random ^= random >>> 17;
        random ^= random << 5;
        return (random >>> 0) % end;
    };
    const word = () => {
        const letters = 1 + below(3) + below(3);
        return Array.from({ length: letters }, () => "etaoins"[below(7)]).join("");
    };
    return Array.from({ length: lines }, () => Array.from({ length: 4 + below(10) }, word).join(" ")).join("\n");
}

// The report that src/index.rs should make.
export function reportOf(text) {
    const index = new Map();
    text.split("\n").forEach((line, number) => {
        for (const word of line.split(" ")) index.has(word) ? index.get(word).push(number) : index.set(word, [number]);
    });
    const order = ([word, places], [other, ofOther]) => ofOther.length - places.length || (word < other ? -1 : 1);
    const words = [...index].sort(order);
    let hash = 0x811c9dc5;
    for (const [, places] of words) for (const place of places) hash = Math.imul(hash ^ place, 0x01000193);
    const shown = words.slice(0, 12).map(([word, places]) => `${word} ${places.length}\n`).join("");
    return `${shown}${words.length} words, ${(hash >>> 0).toString(16).padStart(8, "0")}`;
}

// Indexes `text` by one thread and by a pool of `threads`, `rounds` times, each with a new pool. `reserve` bytes are brought
// in before the threads start. `progress` is told what is done.
export async function run(module, { text, threads, rounds, reserve }, progress = () => {}) {
    const program = new Program(module);
    const { exports } = program;
    if (reserve > 0 && exports.reserve(reserve) === 0) throw new Error("no memory to reserve");
    const input = new TextEncoder().encode(text);
    const address = exports.new_block(input.length);
    if (address === 0) throw new Error("no memory for the text");
    program.bytes.set(input, address);
    const growths = program.growths;
    const runner = await program.newThread();

    async function index(byPool) {
        const before = performance.now();
        const block = await runner.call("index_text", address, input.length, byPool);
        const milliseconds = performance.now() - before;
        if (block === 0) throw new Error("no report");
        const length = exports.report_length();
        // A view of shared memory is copied: TextDecoder takes no other.
        const report = new TextDecoder().decode(program.bytes.slice(block, block + length));
        exports.free_block(block, length);
        return { report, milliseconds };
    }

    const result = { threads, sequential: [], parallel: [], greetings: [], pages: [] };
    for (let round = 0; round < rounds; round++) {
        result.sequential.push(await index(0));
        const pool = [];
        for (let at = 0; at < threads; at++) pool.push(await program.newThread());
        if (await runner.call("pool_new", threads) === 0) throw new Error("no pool");
        const ended = pool.map((thread) => thread.call("pool_thread"));
        result.greetings.push(await Promise.race([runner.call("greet"), failed(ended)]));
        result.parallel.push(await Promise.race([index(1), failed(ended)]));
        await runner.call("pool_end");
        await Promise.all(ended);
        for (const thread of pool) await program.end(thread);
        result.pages.push(program.pages);
        progress(result);
    }
    result.growths = program.growths === undefined ? undefined : program.growths - growths;
    if (exports.alligator_thread_gone) result.killed = await killOne(program, runner);
    await program.end(runner);
    return result;
}

// So many workers, one after the other, each of which allocates and ends. `reserve` bytes are enough for a few. How often
// the memory had to grow all the same.
export async function churn(module, workers, reserve) {
    const program = new Program(module);
    if (program.exports.reserve(reserve) === 0) throw new Error("no memory to reserve");
    const { growths } = program;
    for (let at = 0; at < workers; at++) {
        const thread = await program.newThread();
        await thread.call("busy", 10);
        await program.end(thread);
    }
    return program.growths - growths;
}

// Rejected if one of the threads fails, whose pool would wait for it for ever.
function failed(threads) {
    return new Promise((_, reject) => threads.forEach((thread) => thread.catch(reject)));
}

// A worker that is terminated while it allocates without rest. Others go on, and what it kept is used again.
async function killOne(program, other) {
    const victim = await program.newThread();
    await victim.call("busy", 1);
    const id = await victim.call("alligator_thread_id");
    victim.call("busy", 0).catch(() => {}); // It never answers.
    const turns = program.exports.busy_turns;
    const before = turns();
    while (turns() - before < 100) await new Promise((resolve) => setTimeout(resolve, 1));
    const isKnown = await program.kill(victim, id);
    const after = turns();
    await new Promise((resolve) => setTimeout(resolve, 50));
    const isStill = turns() === after;
    await other.call("busy", 100);
    return { id, isKnown, isStill, isKnownAgain: program.exports.alligator_thread_gone(id) === 1, others: turns() - after };
}
