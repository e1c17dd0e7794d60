// The tools, in a worker: they may take their time, and the page can end them.

import { Recording } from "./record.js";
import { Exit, engineOf, importsOf, wasi } from "./engine.js";

const [NAME, MODULE, SCRIPT, TRACE] = [0, 1, 2, 3];

/** Bytes of a program's output that are shown. */
const OUTPUT_MAX = 10_000;

let tools = null;
let panic = null;

async function start() {
  if (tools) return tools;
  const memory = () => tools.memory.buffer;
  const page = engineOf(memory, (stage) => postMessage({ stage }), (text) => (panic = text));
  const response = await fetch("try.wasm");
  if (!response.ok) throw new Error("try.wasm is not beside this page: `cargo xtask book` makes it");
  const { instance } = await WebAssembly.instantiate(await response.arrayBuffer(), { page });
  return (tools = instance.exports);
}

function give(kind, bytes) {
  const at = tools.input(kind, bytes.length) >>> 0;
  new Uint8Array(tools.memory.buffer, at, bytes.length).set(bytes);
}

/** The answer's bytes; an error with its line if there is none. */
function answered(isOne) {
  const bytes = new Uint8Array(tools.memory.buffer, tools.output_start() >>> 0, tools.output_length()).slice();
  if (!isOne) throw new Error(new TextDecoder().decode(bytes));
  return bytes;
}

const parsed = (isOne) => JSON.parse(new TextDecoder().decode(answered(isOne)));

function take({ name, module, scripts }) {
  give(NAME, new TextEncoder().encode(name));
  give(MODULE, new Uint8Array(module));
  for (const script of scripts) give(SCRIPT, new Uint8Array(script));
}

/** Runs the program with a recorder in it: `calls` are exports with numbers. */
async function run({ calls, runs }) {
  const module = answered(tools.record(runs));
  const types = parsed(tools.interface());
  let instance = null;
  const memory = () => instance?.exports.memory;
  let output = "";
  const decoder = new TextDecoder();
  const write = (bytes) => {
    if (output.length < OUTPUT_MAX) output += decoder.decode(bytes, { stream: true });
  };
  const imports = importsOf(types, memory, { wasi_snapshot_preview1: wasi(memory, write) });
  postMessage({ stage: 5 });
  const compiled = await WebAssembly.compile(module);
  const recording = new Recording(compiled);
  instance = recording.attach(await WebAssembly.instantiate(compiled, recording.imports(imports)));
  let ending = "exit status 0";
  const results = [];
  try {
    for (const { name, values } of calls) {
      const types_ = types.exports.find((one) => one.name === name)?.parameters;
      if (!types_) throw new Error(`no function is exported as "${name}"`);
      const numbers = types_.map((type, index) => (type === "i64" ? BigInt(values[index] ?? 0) : Number(values[index] ?? 0)));
      const result = instance.exports[name](...numbers);
      results.push(`${name}(${values.join(", ")}) = ${result ?? "nothing"}`);
    }
  } catch (error) {
    ending = error instanceof Exit ? error.message : `trap: ${String(error?.message ?? error).split("\n")[0]}`;
    if (!(error instanceof Exit || error instanceof WebAssembly.RuntimeError)) throw error;
  }
  give(TRACE, await recording.trace(ending));
  const html = new TextDecoder().decode(answered(tools.report()));
  return { html, ending, output: output.slice(0, OUTPUT_MAX), results };
}

onmessage = async ({ data }) => {
  try {
    await start();
    take(data);
    if (data.calls) {
      postMessage({ ran: await run(data) });
    } else {
      const heap = parsed(tools.look(data.runs));
      // A component is only looked at.
      const types = heap.module === null ? parsed(tools.interface()) : { imports: [], exports: [] };
      postMessage({ heap, exports: types.exports, imports: types.imports.map(({ module }) => module) });
      postMessage({ proved: parsed(tools.prove()), heap });
    }
    postMessage({ done: true });
  } catch (error) {
    // A panic is a fault of the tools'; without one, a trap of theirs is the end of the memory that they may have.
    const isTrap = error instanceof WebAssembly.RuntimeError;
    const reason = isTrap ? (panic ?? `the tools have stopped, as they do when there is no more memory (${error.message})`) : error?.message;
    postMessage({ failed: String(reason ?? error).split("\n")[0] });
  }
};
