/** Questions that brought no answer a short while ago, so that nobody asks them again at once. A hint in memory, lost with the process. */
export class AskedLately {
  readonly #againMs: number;
  readonly #most: number;
  readonly #askedAt = new Map<string, number>();

  /**
   * @param againMs how long a question rests, ms
   * @param most how many are remembered; then all are forgotten, because they come from outside
   */
  constructor(againMs: number, most = 1_000) {
    this.#againMs = againMs;
    this.#most = most;
  }

  /** @param now ms since the epoch; a clock that was set back ends the rest. @returns whether it may be asked now */
  isDue(question: string, now: number): boolean {
    const at = this.#askedAt.get(question);
    return at === undefined || now - at >= this.#againMs || now < at;
  }

  /** It was asked now, without an answer that lasts. */
  note(question: string, now: number): void {
    if (this.#askedAt.size >= this.#most) this.#askedAt.clear();
    this.#askedAt.set(question, now);
  }

  /** It was answered. */
  forget(question: string): void {
    this.#askedAt.delete(question);
  }
}
