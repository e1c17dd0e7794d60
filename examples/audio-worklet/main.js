// The page that one can play.
import { ALLOCATORS, nodeIn, startTicks } from "./synth.js";

const KEYBOARD = "awsedftgyhujk";
const at = (id) => document.getElementById(id);
const COLUMNS = ["quanta", "notes", "refused", "growths", "late", "longest", "pages"];
const TITLES = ["callbacks", "notes", "notes refused", "growths in callbacks", "longer than a quantum", "longest, µs", "pages"];

for (const name of ALLOCATORS) at("allocator").add(new Option(name));
at("allocator").value = "dlmalloc";
at("counted").innerHTML = `<tr><th>allocator</th>${TITLES.map((title) => `<th>${title}</th>`).join("")}</tr>`;

let playing;

async function start() {
    const allocator = at("allocator").value;
    const reserve = Number(at("reserve").value) << 20;
    const ticks = at("spin").checked ? await startTicks() : {};
    const context = new AudioContext({ sampleRate: 48000 });
    const { stop, ...clock } = ticks;
    const node = await nodeIn(context, allocator, { reserve, score: at("score").checked, ...clock });
    const row = at("counted").insertRow();
    const name = `${allocator}, ${reserve ? `${reserve >> 20} MiB reserved` : "on demand"}`;
    node.port.onmessage = ({ data }) => show(row, name, data);
    playing = { context, node, stop };
    at("power").textContent = "Stop";
}

async function end() {
    playing.stop?.();
    await playing.context.close();
    playing = undefined;
    at("power").textContent = "Start";
}

function show(row, name, counted) {
    at("message").textContent = counted.error ?? "";
    if (counted.error) return;
    const cells = COLUMNS.map((column) => {
        const isWrong = ["refused", "growths", "late"].includes(column) && counted[column] > 0;
        return `<td${isWrong ? ' class="wrong"' : ""}>${Math.round(counted[column])}</td>`;
    });
    row.innerHTML = `<td>${name}</td>${cells.join("")}`;
    at("clock").textContent = counted.clock;
    at("bin").textContent = counted.binMicroseconds;
    draw(counted);
}

function draw({ bins, binMicroseconds }) {
    const { width, height } = at("histogram");
    const canvas = at("histogram").getContext("2d");
    canvas.clearRect(0, 0, width, height);
    canvas.fillStyle = "#37a";
    const most = Math.log1p(Math.max(...bins));
    bins.forEach((count, bin) => {
        const tall = (Math.log1p(count) / most) * height;
        canvas.fillRect((bin * width) / bins.length, height - tall, width / bins.length - 1, tall);
    });
    canvas.fillStyle = "#b00";
    canvas.fillRect((128e6 / 48000 / binMicroseconds / bins.length) * width, 0, 1, height);
}

const send = (message) => playing?.node.port.postMessage(message);
const press = (index) => send({ on: 57 + index, echo: 0.4 });
const release = (index) => send({ off: 57 + index });

[...KEYBOARD].forEach((letter, index) => {
    const key = document.createElement("button");
    key.textContent = letter.toUpperCase();
    key.className = "wetyu".includes(letter) ? "black" : "";
    key.onpointerdown = () => press(index);
    key.onpointerup = key.onpointerleave = () => release(index);
    at("keys").append(key);
});
addEventListener("keydown", ({ key, repeat }) => {
    const index = KEYBOARD.indexOf(key);
    if (index >= 0 && !repeat) press(index);
});
addEventListener("keyup", ({ key }) => {
    const index = KEYBOARD.indexOf(key);
    if (index >= 0) release(index);
});
at("score").onchange = () => send({ score: at("score").checked });
const failed = (error) => (at("message").textContent = error.message);
at("power").onclick = () => (playing ? end() : start()).catch(failed);
