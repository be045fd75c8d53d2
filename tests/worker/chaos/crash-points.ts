/** Places at which an object may be taken down in the middle of its work, as by an eviction or a broken machine. */
import { Random } from '../../unit/support/random.ts';

/** Choices continue from one life to the next, or an object that died once would die at the same place forever. */
const choices = new Map<string, Random>();

export class CrashPoints {
  readonly #ctx: DurableObjectState;
  readonly #what: string;
  readonly #random: Random;
  readonly #probability: number;

  /**
   * @param what kind of object, for the log
   * @param probability of a crash at each point, 0 to 1
   */
  constructor(ctx: DurableObjectState, what: string, seed: number, probability: number) {
    const id = ctx.id.toString();
    this.#ctx = ctx;
    this.#what = what;
    this.#probability = probability;
    this.#random = choices.get(id) ?? new Random(seed ^ Number.parseInt(id.slice(0, 8), 16));
    choices.set(id, this.#random);
  }

  /** The object may end here: what is not committed is gone, and callers get an error. */
  at(where: string): void {
    if (this.#random.chance(this.#probability)) this.#crash(where);
  }

  /** The object may end once everything written so far is on the disk, racing with whatever goes on meanwhile. */
  afterCommit(where: string): void {
    if (!this.#random.chance(this.#probability)) return;
    this.#ctx.waitUntil(this.#ctx.storage.sync().then(() => this.#crash(where)));
  }

  /** The object may end before something outside is asked, and when the answer is there. */
  async around<T>(where: string, ask: () => Promise<T>): Promise<T> {
    this.at(`before ${where}`);
    const answer = await ask();
    this.at(`after ${where}`);
    return answer;
  }

  #crash(where: string): never {
    const of = this.#ctx.id.name ?? this.#ctx.id.toString();
    console.log(JSON.stringify({ event: 'chaos.crash', of, where: `${this.#what}: ${where}` }));
    this.#ctx.abort(`crashed on purpose, ${where}`);
    throw new Error('not reached: the abort ends the execution');
  }
}
