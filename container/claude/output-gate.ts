/**
 * The lines of the CLI pass here, in their order, before they are reported. Two things hold them back. A resumed CLI that has not
 * begun: it may turn out that there is nothing to resume. And a result whose work is not yet kept outside of the sandbox: if the
 * sandbox were lost after such a result was reported, what its last tools did would be missing, and nobody would do it again.
 */
export class OutputGate {
  readonly #emit: (line: string) => void;
  readonly #unkept: () => Promise<void> | null;
  /** Lines of a resumed CLI that has not begun. */
  #held: string[] | null = null;
  /** A result that is not reported yet, and all that came after it. */
  #withheld: (() => void)[] | null = null;

  /**
   * @param emit reports a line
   * @param unkept resolves when what Claude has done is kept outside of the sandbox; null: it is. Never rejects.
   */
  constructor(emit: (line: string) => void, unkept: () => Promise<void> | null) {
    this.#emit = emit;
    this.#unkept = unkept;
  }

  /** A CLI was started. @param resumed its lines are held until it has begun */
  begin(resumed: boolean): void {
    this.#held = resumed ? [] : null;
  }

  /** Whether the lines of a resumed CLI are held. */
  get isHeld(): boolean {
    return this.#held !== null;
  }

  /** Keeps a line until `release`; only while `isHeld`. */
  hold(line: string): void {
    this.#held?.push(line);
  }

  /** The resumed CLI has begun: reports the lines that were held. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const line of held) this.#emit(line);
  }

  /** There is nothing to resume: discards the lines that were held. */
  drop(): void {
    this.#held = null;
  }

  /**
   * Reports something, after what is withheld.
   * @param tell reports it
   * @param endsTurn it ends the turn: it waits until the turn's work is kept, and all that comes later waits with it
   */
  pass(tell: () => void, endsTurn: boolean): void {
    if (this.#withheld) {
      this.#withheld.push(tell);
      return;
    }
    const unkept = endsTurn ? this.#unkept() : null;
    if (!unkept) {
      tell();
      return;
    }
    const withheld = [tell];
    this.#withheld = withheld;
    void unkept.then(() => {
      if (this.#withheld === withheld) this.#releaseWithheld();
    });
  }

  /** The CLI is gone: reports everything that was held back. */
  open(): void {
    this.release();
    this.#releaseWithheld();
  }

  #releaseWithheld(): void {
    const withheld = this.#withheld ?? [];
    this.#withheld = null;
    for (const tell of withheld) tell();
  }
}
