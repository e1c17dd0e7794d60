// Writes traces: the format of docs/trace.md. Blocks are packed by the platform's own zlib.

const MAGIC = [0x89, 0x41, 0x4c, 0x54, 0x52, 0x43, 0x0d, 0x0a];
const VERSION = 1;
const HEADER = 1;
const RECORDS = 2;
const END = 3;
const ZLIB = 1;

// A block is closed when its contents are this long. A string is up to 64 KiB, any other record less than 128 bytes.
const BLOCK_BYTES = 1 << 18;
const ROOM_BYTES = BLOCK_BYTES + (1 << 16) + 1024;

const [TIME, THREAD, SITE, ALIGN, ZEROED] = [8, 16, 32, 64, 128];
const [STRING, FRAME, STACK, LOST] = [0, 1, 2, 3];

const utf8 = new TextEncoder();

async function pack(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function block(kind, length, packed) {
  const head = new Uint8Array(12);
  head.set([kind, ZLIB]);
  const view = new DataView(head.buffer);
  view.setUint32(4, length, true);
  view.setUint32(8, packed.length, true);
  return [head, packed];
}

const json = (value) => utf8.encode(JSON.stringify(value));

export class TraceWriter {
  #parts = [];
  #last = Promise.resolve();
  #bytes = new Uint8Array(ROOM_BYTES);
  #at = 0;
  #strings = new Map();
  #frames = new Map();
  #stacks = new Map();
  #time = 0;
  #thread = 0;
  #site = 0;
  #align = 0;
  #address = 0;
  #totals = { events: 0, allocs: 0, frees: 0, reallocs: 0, grows: 0, marks: 0, lost: 0, ending: null };

  constructor(header) {
    const prologue = new Uint8Array(12);
    prologue.set(MAGIC);
    prologue[8] = VERSION;
    this.#parts.push(prologue);
    this.#block(HEADER, json(header));
    this.#begin();
  }

  get totals() {
    return this.#totals;
  }

  string(text) {
    return this.#define(this.#strings, text, () => {
      let bytes = utf8.encode(text);
      if (bytes.length > 65536) bytes = utf8.encode(text.slice(0, 16384));
      this.#bytes[this.#at++] = 7;
      this.#bytes[this.#at++] = STRING;
      this.#number(bytes.length);
      this.#bytes.set(bytes, this.#at);
      this.#at += bytes.length;
    });
  }

  frame({ function: index, name, file, line, offset }) {
    const numbers = [index, this.string(name), file === undefined ? 0 : this.string(file), line, offset];
    return this.#define(this.#frames, numbers.join(), () => this.#definition(FRAME, numbers));
  }

  stack(parent, frame) {
    const key = parent * 0x1000000 + frame;
    return this.#define(this.#stacks, key, () => this.#definition(STACK, [parent, frame]));
  }

  alloc(time, thread, site, address, size, align, zeroed) {
    this.#totals.allocs++;
    this.#event(zeroed ? ZEROED : 0, time, thread, site, align);
    this.#place(address);
    this.#number(size);
    this.#close();
  }

  free(time, thread, site, address) {
    this.#totals.frees++;
    this.#event(1, time, thread, site, this.#align);
    this.#place(address);
    this.#close();
  }

  realloc(time, thread, site, old, address, size, align) {
    this.#totals.reallocs++;
    this.#event(2, time, thread, site, align);
    this.#place(old);
    this.#place(address);
    this.#number(size);
    this.#close();
  }

  grow(time, thread, site, before, after) {
    this.#totals.grows++;
    this.#event(3, time, thread, site, this.#align);
    this.#number(before);
    this.#number(after - before);
    this.#close();
  }

  mark(time, thread, site, name) {
    const id = this.string(name);
    this.#totals.marks++;
    this.#event(4, time, thread, site, this.#align);
    this.#number(id);
    this.#close();
  }

  lost(time, thread, site, events) {
    this.#totals.lost += events;
    this.#event(7, time, thread, site, this.#align);
    this.#number(events);
    this.#close();
  }

  // Ends the trace, and gives its bytes. `ending` says how the program ended.
  async finish(ending = null) {
    this.#flush();
    this.#totals.ending = ending;
    this.#block(END, json(this.#totals));
    await this.#last;
    return new Uint8Array(await new Blob(this.#parts).arrayBuffer());
  }

  #define(known, key, write) {
    let id = known.get(key);
    if (id === undefined) {
      write();
      id = known.size + 1;
      known.set(key, id);
      this.#close();
    }
    return id;
  }

  #definition(what, numbers) {
    this.#bytes[this.#at++] = 7;
    this.#bytes[this.#at++] = what;
    numbers.forEach((number) => this.#number(number));
  }

  #event(kind, time, thread, site, align) {
    this.#totals.events++;
    if (time < this.#time) time = this.#time;
    const place = this.#at++;
    if (kind === 7) this.#bytes[this.#at++] = LOST;
    if (time !== this.#time) {
      kind |= TIME;
      this.#number(time - this.#time);
      this.#time = time;
    }
    if (thread !== this.#thread) {
      kind |= THREAD;
      this.#number((this.#thread = thread));
    }
    if (site !== this.#site) {
      kind |= SITE;
      this.#number((this.#site = site));
    }
    if (align !== this.#align) {
      kind |= ALIGN;
      this.#align = align;
      this.#bytes[this.#at++] = align === 0 ? 0 : 1 + Math.log2(align);
    }
    this.#bytes[place] = kind;
  }

  #place(address) {
    const difference = address - this.#address;
    this.#address = address;
    this.#number(difference < 0 ? -2 * difference - 1 : 2 * difference);
  }

  #number(value) {
    while (value >= 128) {
      this.#bytes[this.#at++] = (value % 128) + 128;
      value = value > 0x7fffffff ? Math.floor(value / 128) : value >>> 7;
    }
    this.#bytes[this.#at++] = value;
  }

  #close() {
    if (this.#at >= BLOCK_BYTES) this.#flush();
  }

  #flush() {
    this.#block(RECORDS, this.#bytes.slice(0, this.#at));
    this.#begin();
  }

  #begin() {
    this.#at = 0;
    this.#thread = this.#site = this.#align = this.#address = 0;
    this.#number(this.#totals.events);
    this.#number(this.#time);
  }

  #block(kind, bytes) {
    const packed = pack(bytes);
    this.#last = this.#last.then(async () => this.#parts.push(...block(kind, bytes.length, await packed)));
  }
}
