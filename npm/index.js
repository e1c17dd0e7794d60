// What a program needs of JavaScript around a module on Alligator's heap. It uses nothing but the language, so it runs in
// pages, workers and worklets alike.

// Names and meanings of `Fault`, the crate's list, by number.
const FAULTS = {
  1: ["DoubleFree", "a block that is free already was given back"],
  2: ["NotABlock", "an address at which no block starts was given back"],
  3: ["Foreign", "an address outside the heap was given back"],
  4: ["WrongLayout", "a block was given back with another layout than it has"],
  5: ["WriteAfterFree", "free memory was written to"],
  6: ["Corrupted", "the heap's own records were written over"],
  7: ["Stalled", "the heap's lock is held by what has ended"],
};

/** An address as JavaScript counts: an i32 is signed, and an i64 a BigInt. */
function unsigned(address) {
  return typeof address === "bigint" ? BigInt.asUintN(64, address) : address >>> 0;
}

export function faultOf(instance) {
  const { alligator_fault: fault, alligator_fault_address: address } = instance.exports;
  const code = fault?.() ?? 0;
  if (code === 0) return null;
  const [name, message] = FAULTS[code] ?? ["Unknown", "a fault of a later version"];
  return { code, name, message, address: unsigned(address()) };
}

export class HeapFault extends Error {
  constructor(fault, cause) {
    super(`${fault.message} (${fault.name}, at 0x${fault.address.toString(16)})`, { cause });
    this.name = "HeapFault";
    this.fault = fault;
  }
}

export function guarded(instance, call) {
  try {
    return call(instance.exports);
  } catch (error) {
    const fault = error instanceof WebAssembly.RuntimeError ? faultOf(instance) : null;
    throw fault ? new HeapFault(fault, error) : error;
  }
}

export function viewOf(memory, View) {
  let view = new View(memory.buffer);
  // A memory that grows gets another buffer, and the old one has no bytes any more; a shared one keeps its old length.
  return () => (view.buffer === memory.buffer ? view : (view = new View(memory.buffer)));
}
