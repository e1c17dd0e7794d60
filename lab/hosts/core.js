// What every JavaScript engine runs: the tasks of a job, one after the other. The hosts (node.js,
// jsc.js, page.html) bring what differs:
//   host.read(path)    a promise of the file's bytes
//   host.now()         milliseconds, as fine as the engine has them
//   host.collect()     collects garbage, if the engine lets us
//   host.emit(result)  hands a finished task's result to the lab
//
// A job:  { tasks, milliseconds_min, milliseconds_warm: { trace, program } }
// A task: { id, measure: 'time' | 'check' | 'latency' | 'start', rounds, checksum,
//           modules: [{ name, path }], trace: { path, ops, blocks } or program: number }
// A result: { task, samples, failures, latency }, each by module, what applies.
'use strict';

const CONTROL = 'control';

/** Runs all tasks; a task that fails as a whole is reported, and the next one follows. */
async function runJob(job, host) {
  const compiled = new Map();
  for (const task of job.tasks) {
    const result = { task: task.id, samples: {}, failures: {}, latency: {} };
    try {
      const trace = task.trace && { ...task.trace, bytes: await host.read(task.trace.path) };
      const modules = [];
      for (const { name, path } of task.modules) {
        if (task.measure === 'start') {
          modules.push({ name, bytes: await host.read(path) });
          continue;
        }
        if (!compiled.has(path)) {
          compiled.set(path, new WebAssembly.Module(await host.read(path)));
        }
        modules.push({ name, compiled: compiled.get(path) });
      }
      const measure = { time, check, latency, start }[task.measure];
      measure({ ...task, trace, modules }, job, host, result);
    } catch (error) {
      result.failures['*'] = String(error);
    }
    await host.emit(result);
  }
}

/** A fresh instance, with the trace in its buffer. */
function instantiate(module, trace) {
  const { exports } = new WebAssembly.Instance(module.compiled, {});
  if (trace) {
    const fits = trace.ops <= exports.trace_capacity() && trace.blocks <= exports.block_capacity();
    if (!fits) throw new Error('the trace does not fit');
    new Uint8Array(exports.memory.buffer).set(trace.bytes, exports.trace_address());
  }
  return exports;
}

/** Milliseconds of `repeat` runs on a fresh instance. Growth and the first use of memory count,
    instantiation does not. */
function run(module, task, repeat, host) {
  const exports = instantiate(module, task.trace);
  const start = host.now();
  if (task.trace) {
    if (exports.replay(task.trace.ops, repeat) === 0) throw new Error('an allocation failed');
  } else {
    for (let turn = 0; turn < repeat; turn++) {
      const checksum = exports.program(task.program) >>> 0;
      if (checksum !== task.checksum) throw new Error(`output ${checksum}, not ${task.checksum}`);
    }
  }
  return host.now() - start;
}

/** A run that is faster than all before it by this share is still being compiled. */
const FASTER = 0.1;
/** An engine that has not settled after so many times the wait for it never will. */
const PATIENCE = 12;

/** Runs the module until it has not become faster for a while: then the engine's best compiler has done what
    it does. Milliseconds of the fastest run. */
function warmUp(module, task, job, host) {
  const wait = task.trace ? job.milliseconds_warm.trace : job.milliseconds_warm.program;
  const start = host.now();
  let fastest = run(module, task, 1, host);
  let settled = host.now();
  do {
    const once = run(module, task, 1, host);
    if (once < fastest * (1 - FASTER)) settled = host.now();
    fastest = Math.min(fastest, once);
    host.collect();
  } while (host.now() - settled < wait && host.now() - start < wait * PATIENCE);
  return fastest;
}

/** A sample that would take this many times as long as wanted has fewer repetitions. */
const LONG = 10;

/** Nanoseconds per operation of a trace, or per run of a program: one sample per round, the
    modules in another order in each. All repeat the trace as often, but for those that are very
    slow. */
function time(task, job, host, result) {
  const operations = task.trace ? task.trace.ops : 1;
  const alive = [];
  let fastest = Infinity;
  for (const module of task.modules) {
    try {
      const once = warmUp(module, task, job, host);
      if (module.name !== CONTROL) fastest = Math.min(fastest, once);
      alive.push({ module, once });
      result.samples[module.name] = [];
    } catch (error) {
      result.failures[module.name] = String(error);
    }
    host.collect();
  }
  const repetitions = (milliseconds, once) => {
    const count = Math.ceil(milliseconds / Math.max(once, 0.01));
    return Number.isFinite(count) ? Math.max(1, count) : 1;
  };
  const wanted = repetitions(job.milliseconds_min, fastest);
  for (let round = 0; round < task.rounds; round++) {
    for (const { module, once } of shuffled(alive)) {
      const repeat = Math.min(wanted, repetitions(job.milliseconds_min * LONG, once));
      try {
        const milliseconds = run(module, task, repeat, host);
        result.samples[module.name].push((milliseconds * 1e6) / (repeat * operations));
      } catch (error) {
        result.failures[module.name] = String(error);
      }
      host.collect();
    }
  }
}

const FAILURES = ['', 'null', 'not aligned', 'not zero', 'contents changed', 'contents not kept'];

/** Holds every allocator to its contract. */
function check(task, job, host, result) {
  for (const module of task.modules) {
    try {
      const exports = instantiate(module, task.trace);
      const got = (task.trace ? exports.check(task.trace.ops) : exports.program(task.program)) >>> 0;
      const failure = task.trace ? exports.check_failure() >>> 0 : 0;
      if (failure !== 0) {
        throw new Error(`operation ${failure >>> 3}: ${FAILURES[failure & 7]}`);
      }
      if (got !== task.checksum) throw new Error(`checksum ${got}, not ${task.checksum}`);
      result.samples[module.name] = [];
    } catch (error) {
      result.failures[module.name] = String(error);
    }
    host.collect();
  }
}

/** Times single operations. The same trace runs in several fresh instances; an operation's
    fastest time is what the allocator costs there, the slower ones are the machine's noise. */
function latency(task, job, host, result) {
  const words = new Uint32Array(task.trace.bytes.slice().buffer);
  const samples = new Map();
  for (let round = 0; round < task.rounds; round++) {
    for (const module of shuffled(task.modules)) {
      if (result.failures[module.name]) continue;
      try {
        if (!samples.has(module.name)) {
          latencyRun(module, task.trace, words, host); // Warms up, in engines that have to.
          samples.set(module.name, { fastest: null, all: [], grew: null });
        }
        const { times, grew } = latencyRun(module, task.trace, words, host);
        const sample = samples.get(module.name);
        sample.all.push(times);
        sample.grew = grew;
        sample.fastest = sample.fastest
          ? sample.fastest.map((fastest, index) => Math.min(fastest, times[index]))
          : times.slice();
      } catch (error) {
        result.failures[module.name] = String(error);
      }
      host.collect();
    }
  }
  for (const [name, { fastest, all, grew }] of samples) {
    if (result.failures[name]) continue;
    const growing = fastest.filter((_, index) => grew[index]);
    const steady = fastest.filter((_, index) => !grew[index]);
    const raw = new Float64Array(all.length * fastest.length);
    all.forEach((times, round) => raw.set(times, round * fastest.length));
    result.latency[name] = {
      steady: quantiles(steady),
      growing: quantiles(growing),
      raw: quantiles(raw),
      histogram: histogram(steady),
    };
  }
}

/** Nanoseconds of each operation in a fresh instance, and whether it grew the heap: the first one
    always did. */
function latencyRun(module, trace, words, host) {
  const { op_alloc, op_dealloc, op_realloc, memory } = instantiate(module, trace);
  const blocks = new Uint32Array(trace.blocks);
  const times = new Float64Array(trace.ops);
  const grew = new Uint8Array(trace.ops);
  let bytes = memory.buffer.byteLength;
  const now = host.now;
  for (let index = 0; index < trace.ops; index++) {
    const head = words[index * 3];
    const size = words[index * 3 + 1];
    const align = 1 << ((head >>> 2) & 63);
    const block = head >>> 8;
    let pointer = 0;
    let start, end;
    switch (head & 3) {
      case 1:
        pointer = blocks[block];
        start = now();
        op_dealloc(pointer, size, align);
        end = now();
        break;
      case 2: {
        const size_after = words[index * 3 + 2];
        pointer = blocks[block];
        start = now();
        pointer = op_realloc(pointer, size, align, size_after);
        end = now();
        break;
      }
      default: // A request for zeroes as well: what the fill costs is not the allocator's.
        start = now();
        pointer = op_alloc(size, align);
        end = now();
    }
    if (pointer === 0) throw new Error('an allocation failed');
    blocks[block] = pointer;
    times[index] = (end - start) * 1e6;
    const after = memory.buffer.byteLength;
    grew[index] = index > 0 && after === bytes ? 0 : 1;
    bytes = after;
  }
  return { times, grew };
}

/** Quantiles of some numbers, or null of none. */
function quantiles(numbers) {
  if (numbers.length === 0) return null;
  const sorted = Float64Array.from(numbers).sort();
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  return {
    count: sorted.length,
    p50: at(0.5),
    p99: at(0.99),
    p999: at(0.999),
    p9999: at(0.9999),
    max: sorted[sorted.length - 1],
  };
}

/** Counts by the binary logarithm of nanoseconds, four bins per doubling, from 1 ns. */
function histogram(numbers) {
  const counts = [];
  for (const number of numbers) {
    const bin = number < 1 ? 0 : Math.floor(Math.log2(number) * 4);
    while (counts.length <= bin) counts.push(0);
    counts[bin] += 1;
  }
  return counts;
}

/** Milliseconds from bytes to the end of the first run: compiling, instantiating, running. To be
    asked of one module in a fresh process, with the engine's tiers as they are. */
function start(task, job, host, result) {
  for (const { name, bytes } of task.modules) {
    const start = host.now();
    const compiled = new WebAssembly.Module(bytes);
    const instance = new WebAssembly.Instance(compiled, {});
    const ready = host.now();
    const checksum = instance.exports.program(task.program) >>> 0;
    const end = host.now();
    if (checksum !== task.checksum) result.failures[name] = `output ${checksum}`;
    result.samples[name] = [ready - start, end - ready];
  }
}

function shuffled(items) {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}

/** The smallest step of the clock, in nanoseconds. */
function resolution(now) {
  let smallest = Infinity;
  for (let turn = 0; turn < 100; turn++) {
    const start = now();
    let end = now();
    while (end === start) end = now();
    smallest = Math.min(smallest, end - start);
  }
  return smallest * 1e6;
}
