// The host's side of a module that records its heap (`alligator record`): takes its events, and makes a trace of them.
// It uses nothing but the language and what pages, workers and Node.js have in common.

import { TraceWriter } from "./trace.js";

const META = "alligator.record";
const SITES = "alligator.sites";
const FORMAT = "alligator-record/1";
const [ALLOC, FREE, REALLOC, GROW, MARK, FRAME, LOST] = [0, 1, 2, 3, 4, 5, 6];

// Bytes of a buffer of events in JavaScript.
const BUFFER_BYTES = 1 << 18;

// Buffers and marks that are packed together.
const PARTS = 16;

// A module that takes single events and keeps them in a memory until it is full: a call from one module to another is far
// cheaper than one to JavaScript. Its source is test/sink.wat.
const SINK =
  "AGFzbQEAAAABEgNgAX8AYAN/f38AYAR/f39/AAIRAgAEZnVsbAAAAARtYXJrAAEDAgECBQMBAAQGBgF/AUEACwcXAwZtZW1vcnkCAAJhdAMABWV2ZW50AAIK" +
  "UwFRAQF/IABBB3FBBEYEQCAAIAEgAxABDwsjACIEIAA2AgAgBCABNgIEIAQgAjYCCCAEIAM2AgwgBEEQaiIEJAAgBEGAgBBPBEBBACQAIAQQAAsL";

const utf8 = new TextDecoder();

function section(module, name) {
  const [contents] = WebAssembly.Module.customSections(module, name);
  return contents;
}

/** What a module says of itself; null if it does not record. */
function metaOf(module) {
  const contents = section(module, META);
  if (contents === undefined) return null;
  const meta = JSON.parse(utf8.decode(contents));
  if (meta.format !== FORMAT) throw new Error(`a recorder of the format ${meta.format}; ${FORMAT} is known`);
  return meta;
}

/** The call sites of a module: for each the frames it is, the outermost first. */
function sitesOf(module) {
  const contents = section(module, SITES);
  if (contents === undefined) return [];
  const bytes = new Uint8Array(contents);
  let at = 0;
  const number = () => {
    let [value, factor, byte] = [0, 1, 0];
    do {
      byte = bytes[at++];
      value += (byte & 127) * factor;
      factor *= 128;
    } while (byte >= 128);
    return value;
  };
  const list = (item) => Array.from({ length: number() }, item);
  const strings = list(() => {
    const length = number();
    at += length;
    return utf8.decode(bytes.subarray(at - length, at));
  });
  const frames = list(() => {
    const [index, name, file, line, offset] = [number(), number(), number(), number(), number()];
    return { function: index, name: strings[name - 1], file: strings[file - 1], line, offset };
  });
  return list(() => list(() => frames[number() - 1]));
}

function engine() {
  const version = globalThis.process?.versions;
  if (version?.node) return `Node.js ${version.node}, V8 ${version.v8}`;
  return globalThis.navigator?.userAgent ?? "";
}

/** Makes a trace of raw events, of one thread or of several. */
class Conversion {
  #meta;
  #sites;
  #writer;
  #stacks = new Map();
  #pages;
  #live = new Set();
  #waiting = new Map();
  #next = 0;

  constructor(meta, sites) {
    this.#meta = meta;
    this.#sites = sites;
    this.#pages = meta.header.pages;
    this.#writer = new TraceWriter({ ...meta.header, engine: engine() });
  }

  // Events of a thread: whole records in a buffer, from a byte on.
  events(thread, time, buffer, start, length) {
    const { shared, record_bytes: step, header } = this.#meta;
    const is64 = header.pointer_bytes === 8;
    const words = new Uint32Array(buffer, start, length >>> 2);
    const wide = (at) => words[at] + words[at + 1] * 0x100000000;
    for (let at = 0; at < words.length; at += step >>> 2) {
      const tag = words[at];
      const old = is64 ? wide(at + 2) : words[at + 1];
      const address = is64 ? wide(at + 4) : words[at + 2];
      const size = is64 ? wide(at + 6) : words[at + 3];
      let name;
      const sequence = shared ? wide(at + (is64 ? 8 : 4)) : 0;
      if ((tag & 7) === MARK) {
        name = utf8.decode(new Uint8Array(buffer, start + (at << 2) + step, size).slice());
        at += (Math.ceil(size / step) * step) >>> 2;
      }
      this.event(thread, time, tag, old, address, size, sequence, name);
    }
  }

  event(thread, time, tag, old, address, size, sequence, name) {
    const kind = tag & 7;
    if (kind === FRAME) this.#push(thread, old, address);
    const site = kind === FRAME ? 0 : this.#site(thread, tag >>> 11);
    if (!this.#meta.shared) {
      this.#write(thread, time, site, tag, old, address, size, name);
      return;
    }
    this.#waiting.set(sequence, [thread, time, site, tag, old, address, size, name]);
    for (let event; (event = this.#waiting.get(this.#next)); this.#next++) {
      this.#waiting.delete(this.#next);
      this.#write(...event);
    }
  }

  finish(ending) {
    // What has not come until now does not come any more.
    const left = [...this.#waiting].sort(([one], [other]) => one - other);
    left.forEach(([, event]) => this.#write(...event));
    return this.#writer.finish(ending);
  }

  #write(thread, time, site, tag, old, address, size, name) {
    const writer = this.#writer;
    const samples = this.#meta.header.sample_bytes !== 0;
    const log = (tag >>> 4) & 127;
    const align = log === 0 || log > 32 ? 0 : 2 ** (log - 1);
    let kind = tag & 7;
    if (kind === REALLOC && old === 0) kind = ALLOC;
    if (kind === REALLOC && address === 0 && size === 0) [kind, address] = [FREE, old];
    switch (kind) {
      case ALLOC:
        if (address === 0 && size === 0) break;
        if (samples) this.#live.add(address);
        writer.alloc(time, thread, site, address, size, align, (tag & 8) !== 0);
        break;
      case FREE:
        if (address !== 0 && (!samples || this.#live.delete(address))) writer.free(time, thread, site, address);
        break;
      case REALLOC:
        writer.realloc(time, thread, site, old, address, size, align);
        break;
      case GROW:
        if (address > this.#pages) writer.grow(time, thread, site, this.#pages, address);
        this.#pages = Math.max(this.#pages, address);
        break;
      case MARK:
        writer.mark(time, thread, site, name);
        break;
      case LOST:
        writer.lost(time, thread, site, size);
        break;
    }
  }

  // Puts a call site at a place of a thread's stack; what was above it is gone.
  #push(thread, place, site) {
    const stack = this.#stacks.get(thread) ?? [];
    this.#stacks.set(thread, stack);
    stack.length = Math.min(stack.length, place);
    let top = stack.at(-1) ?? 0;
    for (const frame of this.#sites[site] ?? []) top = this.#writer.stack(top, this.#writer.frame(frame));
    stack.push(top);
  }

  #site(thread, depth) {
    const stack = this.#stacks.get(thread);
    return stack === undefined || depth === 0 ? 0 : (stack[Math.min(depth, stack.length) - 1] ?? 0);
  }
}

/** A counter that threads share. */
function newShared() {
  return new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
}

/** Has buffers go through a stream that packs or unpacks. */
async function through(buffers, stream) {
  return new Response(new Blob(buffers).stream().pipeThrough(stream)).arrayBuffer();
}

export class Recording {
  #began = performance.now();
  #meta;
  #conversion = null;
  #instance = null;
  #sink = null;
  // What happened, in order: buffers of events, and marks. So many together are packed; it becomes a trace at the end.
  #open = [];
  #packed = [];
  #events = 0;
  // Events that are taken one by one, where no sink can: their words, and how many there are.
  #words = null;
  #count = 0;
  #shared = null;
  #thread;
  #port;
  #threads = [];

  /** `module` records its heap. `from` is what `forThread` of the collecting thread's recording gave. */
  constructor(module, from = {}) {
    this.#meta = metaOf(module);
    if (this.#meta === null) throw new Error("the module does not record: `alligator record` makes one that does");
    this.#thread = from.thread ?? 0;
    this.#port = from.port ?? null;
    if (this.#meta.shared) this.#shared = from.shared ?? newShared();
    if (!this.#port) this.#conversion = new Conversion(this.#meta, sitesOf(module));
  }

  /** Compiles and starts a module that records: `{ module, instance, recording }`. */
  static async start(source, imports, from) {
    const given = await source;
    let module = given;
    if (typeof Response === "function" && given instanceof Response) module = await WebAssembly.compileStreaming(given);
    else if (!(given instanceof WebAssembly.Module)) module = await WebAssembly.compile(given);
    const recording = new Recording(module, from);
    const instance = await WebAssembly.instantiate(module, recording.imports(imports));
    recording.attach(instance);
    return { module, instance, recording };
  }

  /**
   * The recording of the next module that records, whoever starts it: for a program whose JavaScript is generated. To be
   * called before that JavaScript.
   */
  static next() {
    const { instantiate, instantiateStreaming } = WebAssembly;
    return new Promise((resolve) => {
      const restore = () => Object.assign(WebAssembly, { instantiate, instantiateStreaming });
      WebAssembly.instantiate = async (source, imports) => {
        const isModule = source instanceof WebAssembly.Module;
        const module = isModule ? source : await WebAssembly.compile(source);
        if (metaOf(module) === null) {
          const instance = await instantiate(module, imports);
          return isModule ? instance : { module, instance };
        }
        restore();
        const { instance, recording } = await Recording.start(module, imports);
        resolve(recording);
        return isModule ? instance : { module, instance };
      };
      WebAssembly.instantiateStreaming = async (source, imports) =>
        WebAssembly.instantiate(await (await source).arrayBuffer(), imports);
    });
  }

  /** The imports of the program, and those that a module that records needs. */
  imports(imports = {}) {
    const alligator = { ...imports.alligator };
    if (this.#meta.mode === "import") alligator.event = this.#event();
    else alligator.events = (end) => this.#handOver(end);
    if (this.#shared) alligator.shared = this.#shared;
    return { ...imports, alligator };
  }

  /** Says which instance was made with these imports. */
  attach(instance) {
    return (this.#instance = instance);
  }

  /** Sets a mark. */
  mark(name) {
    if (!this.#conversion) throw new Error("only the thread that collects sets marks from JavaScript");
    this.flush();
    this.#mark(MARK, String(name));
  }

  /** Takes the events that are still in the module. */
  flush() {
    this.#instance?.exports.alligator_flush?.();
    if (this.#sink) {
      const end = this.#sink.at.value;
      this.#sink.at.value = 0;
      if (end > 0) this.#take(this.#sink.memory.buffer, end);
    }
    if (this.#count > 0) {
      const length = this.#count * 4;
      this.#count = 0;
      this.#take(this.#words.buffer, length);
    }
  }

  /** For another thread: a message for the `Recording` it makes, and what has to be transferred with that. */
  forThread() {
    const { port1, port2 } = new MessageChannel();
    const thread = this.#threads.length + 1;
    const ended = new Promise((resolve) => {
      port1.onmessage = ({ data }) => {
        if (data.ended) resolve(port1.close());
        else this.#keep({ thread, ...data });
      };
    });
    this.#threads.push(ended);
    const message = { shared: this.#shared, thread, port: port2, began: this.#began };
    return { message, transfer: [port2] };
  }

  /** Ends the part of a thread that does not collect. */
  end() {
    this.flush();
    this.#port.postMessage({ ended: true });
  }

  /**
   * The trace, as bytes, once all threads have ended their parts. `ending` says how the program ended; where a trap has
   * left the allocator in the middle of a call, the trace says that as well.
   */
  async trace(ending = null) {
    if (!this.#conversion) throw new Error("the thread that collects gives the trace");
    this.flush();
    await Promise.all(this.#threads);
    if (this.#instance?.exports.alligator_inside?.value) ending = `${ending ?? "ended"}, inside the allocator`;
    this.#pack();
    for (const { parts, packed } of this.#packed.splice(0)) {
      const buffer = await through([await packed], new DecompressionStream("deflate"));
      let at = 0;
      for (const { thread, time, length, tag, name, sequence } of parts) {
        if (name !== undefined) this.#conversion.event(thread, time, tag, 0, 0, 0, sequence, name);
        else this.#conversion.events(thread, time, buffer, at, length);
        at += length;
      }
    }
    return this.#conversion.finish(ending);
  }

  /** Saves the trace as a file, in a page. */
  async download(name = "heap.trace", ending = null) {
    const bytes = await this.trace(ending);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  /** Records so far: events, and with call stacks their parts. */
  get records() {
    return this.#events;
  }

  #now() {
    return Math.round((performance.now() - this.#began) * 1e6);
  }

  #nextNumber() {
    return Atomics.add(new Int32Array(this.#shared.buffer), 2, 1) >>> 0;
  }

  // Takes events from a buffer that is used again after this.
  #take(buffer, length) {
    const time = this.#now();
    const copy = buffer.slice(0, length);
    if (this.#conversion) this.#keep({ thread: this.#thread, time, buffer: copy });
    else this.#port.postMessage({ time, buffer: copy }, [copy]);
  }

  #mark(tag, name) {
    const mark = { time: this.#now(), tag, name, sequence: this.#shared ? this.#nextNumber() : 0 };
    if (this.#conversion) this.#keep({ thread: this.#thread, ...mark });
    else this.#port.postMessage(mark);
  }

  #keep({ buffer, ...part }) {
    const length = buffer?.byteLength ?? 0;
    this.#events += length / this.#meta.record_bytes;
    this.#open.push({ ...part, length, buffer });
    if (this.#open.length >= PARTS) this.#pack();
  }

  // Packs what is there, on another thread of the engine's. That is set up seldom: it takes longer than the rest.
  #pack() {
    const buffers = this.#open.flatMap(({ buffer }) => buffer ?? []);
    const parts = this.#open.splice(0).map(({ buffer, ...part }) => part);
    this.#packed.push({ parts, packed: through(buffers, new CompressionStream("deflate")) });
  }

  // The import of a module with a second memory, which is known when the instance is: until then, it keeps its events.
  #handOver(end) {
    if (!this.#instance) return 1;
    if (end > 0) this.#take(this.#instance.exports.alligator_events.buffer, end);
    return 0;
  }

  // The import of a module without: one call for each event.
  #event() {
    const is64 = this.#meta.header.pointer_bytes === 8;
    if (is64 || this.#shared) return (...numbers) => this.#single(is64, ...numbers);
    const bytes = Uint8Array.from(atob(SINK), (character) => character.charCodeAt(0));
    const full = (end) => this.#take(this.#sink.memory.buffer, end);
    const mark = (tag, name, length) => this.#marked(tag, name >>> 0, length >>> 0);
    this.#sink = new WebAssembly.Instance(new WebAssembly.Module(bytes), { "": { full, mark } }).exports;
    return this.#sink.event;
  }

  #single(is64, tag, old, address, size) {
    this.#words ??= new Uint32Array(BUFFER_BYTES >>> 2);
    if ((tag & 7) === MARK) return this.#marked(tag, Number(old), Number(size));
    const words = this.#words;
    const put = (number) => {
      words[this.#count++] = is64 ? Number(BigInt.asUintN(32, number)) : number;
      if (is64) words[this.#count++] = Number(BigInt.asUintN(64, number) >> 32n);
    };
    words[this.#count++] = tag;
    if (is64) words[this.#count++] = 0;
    put(old);
    put(address);
    put(size);
    if (this.#shared) {
      words[this.#count++] = this.#nextNumber();
      words[this.#count++] = 0;
    }
    if (this.#count + 12 > words.length) this.flush();
  }

  // A mark that the program sets: its name is in the program's memory, and stands there only now.
  #marked(tag, name, length) {
    const memories = Object.values(this.#instance?.exports ?? {});
    const memory = memories.find((item) => item instanceof WebAssembly.Memory);
    if (!memory) return;
    this.flush();
    this.#mark(tag, utf8.decode(new Uint8Array(memory.buffer, name, Math.min(length, 256)).slice()));
  }
}
