// Runs a WASI program, and writes its trace if it records: node wasi.mjs MODULE TRACE [ARGUMENTS]
import { readFile, writeFile } from "node:fs/promises";
import { WASI } from "node:wasi";
import { Recording } from "../../../../npm/record.js";

const [file, trace, ...rest] = process.argv.slice(2);
const wasi = new WASI({ version: "preview1", args: ["program.wasm", ...rest], env: {}, returnOnExit: true });
const bytes = await readFile(file);
if (trace === "-") {
  const { instance } = await WebAssembly.instantiate(bytes, wasi.getImportObject());
  process.exitCode = wasi.start(instance);
} else {
  const { instance, recording } = await Recording.start(bytes, wasi.getImportObject());
  const status = wasi.start(instance);
  await writeFile(trace, await recording.trace(`exit status ${status}`));
  process.exitCode = status;
}
