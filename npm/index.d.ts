/** What a heap has found wrong, and where. */
export interface Fault {
  /** The number that never changes its meaning. */
  readonly code: number;
  /** The name of the variant of `alligator_alloc::Fault`. */
  readonly name:
    | "DoubleFree"
    | "NotABlock"
    | "Foreign"
    | "WrongLayout"
    | "WriteAfterFree"
    | "Corrupted"
    | "Stalled"
    | "Unknown";
  /** The same in words. */
  readonly message: string;
  /** The address it was found at: a bigint in a module for wasm64. */
  readonly address: number | bigint;
}

/**
 * The fault that the heaps of `instance` raised last, or null: none, or a module built without the crate's feature
 * `hardened`, which alone exports what this asks. To be called after a trap.
 */
export function faultOf(instance: WebAssembly.Instance): Fault | null;

/** A trap that was a heap's. `cause` is the engine's error. The instance should not be called again. */
export class HeapFault extends Error {
  constructor(fault: Fault, cause?: unknown);
  readonly fault: Fault;
}

/**
 * What `call` returns. If it traps because a heap of `instance` has found a fault, the error is a `HeapFault`; any other
 * error is thrown as it is.
 */
export function guarded<Result>(
  instance: WebAssembly.Instance,
  call: (exports: WebAssembly.Exports) => Result,
): Result;

/**
 * A function that returns a view of all of `memory`: the same one until the memory has grown, then a new one. It makes
 * nothing while the memory keeps its length, so an audio callback may call it. Keep the function, not the view.
 */
export function viewOf<View>(
  memory: WebAssembly.Memory,
  View: new (buffer: ArrayBufferLike) => View,
): () => View;
