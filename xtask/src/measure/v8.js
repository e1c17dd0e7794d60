// Times the replay of traces in V8. Run by `cargo xtask measure` with one argument: a JSON file
//   { modules: [{ name, path }], traces: [{ name, path, ops, blocks }], rounds, milliseconds_min }
// Prints JSON: for each trace, for each module, nanoseconds per operation, one per round; an
// error's text in place of them when a replay fails.
'use strict';
const fs = require('fs');

const job = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
for (const module of job.modules) {
  module.compiled = new WebAssembly.Module(fs.readFileSync(module.path));
}

// Milliseconds that `rounds` replays take on a fresh instance. Instantiation is not counted;
// growth and first use of memory are.
function replay(module, trace, rounds) {
  const { exports } = new WebAssembly.Instance(module.compiled, {});
  const fits = trace.ops <= exports.trace_capacity() && trace.blocks <= exports.block_capacity();
  if (!fits) throw new Error('the trace does not fit');
  new Uint8Array(exports.memory.buffer).set(trace.bytes, exports.trace_address());
  const start = process.hrtime.bigint();
  const result = exports.replay(trace.ops, rounds);
  const end = process.hrtime.bigint();
  if (result === 0) throw new Error('an allocation failed');
  return Number(end - start) / 1e6;
}

// The number of replays that takes `milliseconds_min` with the fastest module but control.
function roundsFor(trace) {
  const times = job.modules.filter((module) => module.name !== 'control').map((module) => {
    try {
      return Math.min(replay(module, trace, 1), replay(module, trace, 1));
    } catch {
      return Infinity; // Reported when it is measured.
    }
  });
  const fastest = Math.min(...times);
  return Number.isFinite(fastest) ? Math.max(1, Math.ceil(job.milliseconds_min / fastest)) : 1;
}

function shuffled(items) {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}

const report = {};
for (const trace of job.traces) {
  trace.bytes = fs.readFileSync(trace.path);
  const repeat = roundsFor(trace);
  const samples = Object.fromEntries(job.modules.map(({ name }) => [name, []]));
  for (let round = 0; round < job.rounds; round++) {
    for (const module of shuffled(job.modules)) {
      if (typeof samples[module.name] === 'string') continue;
      try {
        const milliseconds = replay(module, trace, repeat);
        samples[module.name].push((milliseconds * 1e6) / (repeat * trace.ops));
      } catch (error) {
        samples[module.name] = String(error);
      }
      global.gc(); // Frees the instance, which holds gigabytes of address space.
    }
  }
  report[trace.name] = samples;
  process.stderr.write(`timed ${trace.name}\n`);
}
process.stdout.write(JSON.stringify(report));
