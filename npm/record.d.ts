/** What another thread needs to take part. */
  forThread(): ForThread;

  /** Ends the part of a thread that does not collect. */
  end(): void;

  /** The trace, once all threads have ended their parts. Nothing is recorded after it. */
  trace(ending?: string | null): Promise<Uint8Array>;

  /** Saves the trace as a file, in a page. */
  download(name?: string, ending?: string | null): Promise<void>;

  /** Records so far: events, and with call stacks their parts. */
  readonly records: number;
}
