/**
 * What the CLI says passes here before it is told, in its order. Two things hold it back: a resumed CLI that has not begun, for
 * it may turn out that there is nothing to resume; and a result whose work is not yet kept outside of the sandbox. Were the sandbox
 * lost after such a result was told, what its last tools did would be missing, and nobody would do it again.
 */
export class OutputGate {
  readonly #emit: (line: string) => void;
  readonly #unkept: () => Promise<void> | null;
  /** Lines of a resumed CLI that has not begun. */
  #held: string[] | null = null;
  /** What follows a result that is not told yet, itself included. */
  #withheld: (() => void)[] | null = null;

  /**
   * @param emit tells a line
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

  /** The resumed CLI has begun: what was held is told. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const line of held) this.#emit(line);
  }

  /** There is nothing to resume: what was held is told to nobody. */
  drop(): void {
    this.#held = null;
  }

  /**
   * Tells something, after what is withheld.
   * @param endsTurn it waits until the work that it speaks of is kept, and all that comes later waits with it
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

  /** Tells everything, because the CLI is gone. */
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
