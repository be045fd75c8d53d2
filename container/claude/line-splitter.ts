/** Cuts a byte stream into lines. */

const NEWLINE = 0x0a;
/** A longer line would not fit anywhere it has to go; it is left out, and said to be. */
export const MAX_LINE_BYTES = 8 * 1024 * 1024;

export class LineSplitter {
  #parts: Buffer[] = [];
  #bytes = 0;
  readonly #onLine: (line: string) => void;
  readonly #onTooLong: (bytes: number) => void;

  /**
   * @param onLine receives each line without its end; empty lines are skipped
   * @param onTooLong receives the size of a line that was left out
   */
  constructor(onLine: (line: string) => void, onTooLong: (bytes: number) => void) {
    this.#onLine = onLine;
    this.#onTooLong = onTooLong;
  }

  push(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      this.#take(chunk.subarray(start, end));
      this.#finish();
      start = end + 1;
    }
    if (start < chunk.length) this.#take(chunk.subarray(start));
  }

  /** The stream is over: what has no line end is a line too. */
  end(): void {
    this.#finish();
  }

  #take(part: Buffer): void {
    this.#bytes += part.length;
    if (this.#bytes > MAX_LINE_BYTES) this.#parts = [];
    else if (part.length > 0) this.#parts.push(part);
  }

  #finish(): void {
    const bytes = this.#bytes;
    const parts = this.#parts;
    this.#bytes = 0;
    this.#parts = [];
    if (bytes > MAX_LINE_BYTES) this.#onTooLong(bytes);
    else if (bytes > 0) {
      const [only] = parts;
      this.#onLine((parts.length === 1 && only ? only : Buffer.concat(parts)).toString('utf8'));
    }
  }
}
