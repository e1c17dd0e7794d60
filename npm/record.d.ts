/** What is counted while a module records. */
export interface Totals {
  readonly events: number;
  readonly allocs: number;
  readonly frees: number;
  readonly reallocs: number;
  readonly grows: number;
  readonly marks: number;
  readonly lost: number;
}

/** What another thread makes its recording from: sent to it, with `transfer`. */
export interface ForThread {
  readonly message: object;
  readonly transfer: MessagePort[];
}

type Source = Response | BufferSource | WebAssembly.Module;

/** A recording of a module that `alligator record` made. */
export class Recording {
  /** Throws if the module does not record. `from` is the message of `forThread`. */
  constructor(module: WebAssembly.Module, from?: object);

  /** Compiles and starts a module that records. */
  static start(
    source: Source | Promise<Source>,
    imports?: WebAssembly.Imports,
    from?: object,
  ): Promise<{ module: WebAssembly.Module; instance: WebAssembly.Instance; recording: Recording }>;

  /**
   * The recording of the next module that records, whoever starts it by `WebAssembly.instantiate` or
   * `instantiateStreaming`: for programs whose JavaScript is generated. To be called before that JavaScript.
   */
  static next(): Promise<Recording>;

  /** The program's imports, and those that a module that records needs. */
  imports(imports?: WebAssembly.Imports): WebAssembly.Imports;

  /** Says which instance was made with these imports. */
  attach(instance: WebAssembly.Instance): WebAssembly.Instance;

  /** Sets a mark. */
  mark(name: string): void;

  /** Takes the events that are still in the module. */
  flush(): void;

  /** What another thread needs to take part. */
  forThread(): ForThread;

  /** Ends the part of a thread that does not collect. */
  end(): void;

  /** The trace, once all threads have ended their parts. Nothing is recorded after it. */
  trace(ending?: string | null): Promise<Uint8Array>;

  /** Saves the trace as a file, in a page. */
  download(name?: string, ending?: string | null): Promise<void>;

  /** What was counted so far; undefined on a thread that does not collect. */
  readonly totals: Totals | undefined;
}
