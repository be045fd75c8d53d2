/** A run of promises, one after the other: each a sentence a user could say, timed, and explained if it is not kept. */

/** A promise was not kept. */
export class Unkept extends Error {
  override readonly name = 'Unkept';
  readonly expected: string;
  readonly seen: string;
  constructor(what: string, expected: unknown, seen: unknown) {
    super(what);
    this.expected = inWords(expected);
    this.seen = inWords(seen);
  }
}

/** Where to look when a promise is not kept. */
export interface Evidence {
  name: string;
  path: string;
}

/** Carries out promises in their order and keeps their times. The first that is not kept ends the run. */
export class Run {
  /** What a reader may want to look at afterwards. */
  readonly evidence: Evidence[] = [];
  /** The promise at hand, for a signal that ends the run from outside. */
  current = 'Everything starts';
  readonly #explained = new WeakSet<object>();

  /**
   * Carries out one promise.
   * @param promise the sentence
   * @returns what `act` returns; what it throws is printed and thrown on
   */
  async promise<T>(promise: string, act: () => Promise<T>): Promise<T> {
    this.current = promise;
    const since = performance.now();
    const seconds = () => `${((performance.now() - since) / 1000).toFixed(1)} s`.padStart(7);
    try {
      const result = await act();
      console.log(`  ✓ ${seconds()}  ${promise}`);
      return result;
    } catch (error) {
      console.log(`  ✗ ${seconds()}  ${promise}`);
      this.explain(error);
      throw error;
    }
  }

  /** Prints what went wrong and where to look; once for each error. */
  explain(error: unknown): void {
    if (error instanceof Error) {
      if (this.#explained.has(error)) return;
      this.#explained.add(error);
    }
    if (error instanceof Unkept) {
      console.log(
        `\n    ${error.message}\n    expected: ${indent(error.expected)}\n    seen:     ${indent(error.seen)}`,
      );
    } else {
      console.log(`\n    ${indent(error instanceof Error ? (error.stack ?? error.message) : String(error))}`);
    }
    for (const { name, path } of this.evidence) console.log(`    ${name}: ${path}`);
    console.log('');
  }
}

/** @throws Unkept where the two differ, compared as JSON */
export function same(what: string, seen: unknown, expected: unknown): void {
  if (JSON.stringify(seen) !== JSON.stringify(expected)) throw new Unkept(what, expected, seen);
}

/** @throws Unkept naming what was expected, where the condition does not hold */
export function holds(what: string, condition: boolean, expected: unknown, seen: unknown): void {
  if (!condition) throw new Unkept(what, expected, seen);
}

/** @throws Unkept where a time, in milliseconds, is over its limit */
export function within(what: string, ms: number, limitMs: number): void {
  holds(what, ms <= limitMs, `at most ${limitMs} ms`, `${ms} ms`);
}

/**
 * Waits until `look` finds something: anything but false, null and undefined.
 * @param what for the message, such as "a second commit on the branch"
 * @throws Unkept with what `describe` tells of the last look
 */
export async function until<T>(
  what: string,
  look: () => Promise<T | false | null | undefined> | T | false | null | undefined,
  options: { limitMs?: number; everyMs?: number; describe?: () => unknown } = {},
): Promise<T> {
  const { limitMs = 30_000, everyMs = 25, describe = () => 'nothing of it' } = options;
  const deadline = performance.now() + limitMs;
  for (;;) {
    const found = await look();
    if (found !== false && found !== null && found !== undefined) return found;
    if (performance.now() > deadline) throw new Unkept(`Waited for ${what}`, `within ${limitMs} ms`, describe());
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

function inWords(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value, null, 1) ?? String(value));
  return text.length > 6_000 ? `${text.slice(0, 6_000)} … (${text.length} characters)` : text;
}

function indent(text: string): string {
  return text.replaceAll('\n', '\n      ');
}
