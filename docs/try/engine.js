// Runs modules in this worker: what the tools try out, and what the visitor asks for. Nothing that a module imports does
// anything, but for what a WASI program must have.

const PAGE = 65_536;

/** A value that does nothing, of a type of WebAssembly. */
function nothing(type) {
  return type === "i64" ? 0n : type === "ref" ? null : 0;
}

function results(types) {
  if (types.length === 0) return undefined;
  return types.length === 1 ? nothing(types[0]) : types.map(nothing);
}

/** Where a program that is linked when it is loaded finds its parts: halfway up its memory, as the command has it. */
function place(name, heap) {
  if (["__stack_pointer", "__heap_base", "__stack_high"].includes(name)) return heap;
  if (name === "__stack_low") return Math.floor(heap / 2);
  return name === "__memory_base" ? 1024 : 0;
}

/**
 * Imports for a module with this interface. `memory` gives the instance's memory, once there is one; `known` are functions
 * by module and name that take the place of those that do nothing.
 */
export function importsOf({ imports }, memory, known = {}) {
  const made = {};
  const minimum = imports.find(({ kind }) => kind === "memory")?.minimum ?? 0;
  const heap = Math.floor((minimum * PAGE) / 32) * 16;
  for (const one of imports) {
    const folder = (made[one.module] ??= {});
    switch (one.kind) {
      case "function":
        folder[one.name] = known[one.module]?.[one.name] ?? doNothing(one, memory);
        break;
      case "memory": {
        const wide = (value) => (one.wide && value != null ? BigInt(value) : value);
        const limits = { initial: wide(one.minimum), shared: one.shared };
        if (one.maximum != null) limits.maximum = wide(one.maximum);
        if (one.wide) limits.address = "i64";
        folder[one.name] = new WebAssembly.Memory(limits);
        break;
      }
      case "table": {
        const limits = { initial: one.minimum, element: one.element };
        if (one.maximum != null) limits.maximum = one.maximum;
        folder[one.name] = new WebAssembly.Table(limits);
        break;
      }
      case "global": {
        const at = place(one.name, heap);
        const value = one.value === "i64" ? BigInt(at) : one.value === "i32" ? at : nothing(one.value);
        const type = one.value === "ref" ? "externref" : one.value;
        folder[one.name] = new WebAssembly.Global({ value: type, mutable: one.mutable }, value);
        break;
      }
      default:
        throw new Error("an import that cannot be made up");
    }
  }
  return made;
}

/** A function that does nothing; but Emscripten's, by whatever name, grows the memory to so many bytes if it is asked. */
function doNothing({ parameters, results: types }, memory) {
  const grows = parameters.join() === "i32" && types.join() === "i32";
  if (!grows) return () => results(types);
  return (asked) => {
    const missing = (asked >>> 0) - (memory()?.buffer.byteLength ?? Infinity);
    if (!(missing > 0) || missing > 64 << 20) return 0;
    try {
      memory().grow(Math.ceil(missing / PAGE));
      return 1;
    } catch {
      return 0;
    }
  };
}

/** The program has ended by itself. */
export class Exit extends Error {
  constructor(status) {
    super(`exit status ${status}`);
    this.status = status;
  }
}

/** What a WASI program (preview 1) must have: a clock, chance, an output, which `write` gets. It has no files. */
export function wasi(memory, write) {
  const view = () => new DataView(memory().buffer);
  const [BAD_FILE, NOT_THERE] = [8, 52];
  const zeros = (...places) => {
    for (const at of places) view().setUint32(at, 0, true);
    return 0;
  };
  const known = {
    args_sizes_get: zeros,
    environ_sizes_get: zeros,
    args_get: () => 0,
    environ_get: () => 0,
    sched_yield: () => 0,
    clock_res_get: (id, to) => (view().setBigUint64(to, 1000n, true), 0),
    clock_time_get: (id, precision, to) => {
      const now = id === 0 ? Date.now() : performance.now();
      view().setBigUint64(to, BigInt(Math.round(now * 1e6)), true);
      return 0;
    },
    random_get: (to, length) => {
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length; at += PAGE) crypto.getRandomValues(bytes.subarray(at, at + PAGE));
      new Uint8Array(memory().buffer, to, length).set(bytes);
      return 0;
    },
    fd_write: (file, parts, count, to) => {
      if (file !== 1 && file !== 2) return BAD_FILE;
      let length = 0;
      for (let part = 0; part < count; part++) {
        const [start, bytes] = [0, 4].map((field) => view().getUint32(parts + part * 8 + field, true));
        write(new Uint8Array(memory().buffer, start, bytes).slice());
        length += bytes;
      }
      view().setUint32(to, length, true);
      return 0;
    },
    fd_read: (file, parts, count, to) => (file === 0 ? zeros(to) : BAD_FILE),
    fd_fdstat_get: (file, to) => {
      if (file > 2) return BAD_FILE;
      new Uint8Array(memory().buffer, to, 24).fill(0);
      view().setUint8(to, 2); // A terminal.
      return 0;
    },
    fd_prestat_get: () => BAD_FILE,
    fd_close: () => 0,
    proc_exit: (status) => {
      throw new Exit(status);
    },
  };
  const other = () => NOT_THERE;
  return new Proxy(known, { get: (all, name) => all[name] ?? other });
}

/** What the tools ask of the page: instances by number. `memory` is the tools' own. */
export function engineOf(memory, onProgress, onPanic) {
  const kept = new Map();
  let next = 1;
  let reason = "";
  const bytes = (start, length) => new Uint8Array(memory(), start >>> 0, length);
  const text = (start, length) => new TextDecoder().decode(bytes(start, length).slice());
  const keep = (value) => {
    kept.set(next, value);
    return next++;
  };
  const attempt = (failed, action) => {
    try {
      return action();
    } catch (error) {
      reason = String(error?.message ?? error).split("\n")[0];
      return failed;
    }
  };
  const memoryOf = (number) => kept.get(number)?.instance.exports.memory;
  const copy = (number, address, length, action) => {
    const its = memoryOf(number);
    if (!its || address + length > its.buffer.byteLength) return 0;
    action(new Uint8Array(its.buffer, address, length));
    return 1;
  };
  return {
    progress: onProgress,
    panicked: (start, length) => onPanic(text(start, length)),
    load: (start, length, types, typesLength) =>
      attempt(-1, () => {
        const module = new WebAssembly.Module(bytes(start, length).slice());
        return keep({ module, types: JSON.parse(text(types, typesLength)) });
      }),
    start: (number) =>
      attempt(-1, () => {
        const { module, types } = kept.get(number);
        const made = { types, instance: null };
        made.instance = new WebAssembly.Instance(module, importsOf(types, () => made.instance?.exports.memory));
        return keep(made);
      }),
    call: (number, name, nameLength, given, count, to) =>
      attempt(0, () => {
        const { instance, types } = kept.get(number);
        const called = text(name, nameLength);
        const parameters = types.exports.find((one) => one.name === called)?.parameters;
        if (!parameters) throw new Error(`no function is exported as "${called}"`);
        const values = new BigUint64Array(memory(), given, count);
        const numbers = parameters.map((type, index) => {
          const value = values[index] ?? 0n;
          return type === "i64" ? BigInt.asIntN(64, value) : Number(BigInt.asIntN(32, value));
        });
        const result = instance.exports[called](...numbers);
        const back = typeof result === "bigint" ? BigInt.asUintN(64, result) : BigInt((result ?? 0) >>> 0);
        new DataView(memory()).setBigUint64(to, back, true);
        return 1;
      }),
    memory_bytes: (number) => memoryOf(number)?.buffer.byteLength ?? 0,
    read: (number, address, to, length) => copy(number, address, length, (its) => bytes(to, length).set(its)),
    write: (number, address, from, length) => copy(number, address, length, (its) => its.set(bytes(from, length))),
    forget: (number) => void kept.delete(number),
    why: (to, length) => {
      const { read, written } = new TextEncoder().encodeInto(reason, bytes(to, length));
      return read === undefined ? 0 : written;
    },
  };
}
