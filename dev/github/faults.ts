/** How the stand-in misbehaves on request: limits, failures, slowness. */
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { type Answer, Refused, refused } from './answers.ts';

export const faultSchema = z.object({
  /**
   * - `primary-limit`: the hour's requests are used up; `seconds` until the reset
   * - `secondary-limit`: too many at once; `seconds` in `retry-after`
   * - `server-error`: 502 with a page of HTML
   * - `slow`: answers after `seconds`
   * - `lost-answer`: carries the request out and breaks the connection off instead of answering
   * - `nonsense`: 200 with a body that is no answer to anything
   */
  kind: z.enum(['primary-limit', 'secondary-limit', 'server-error', 'slow', 'lost-answer', 'nonsense']),
  /** So many requests; left out: until the faults are changed. */
  times: z.number().int().positive().optional(),
  /** Only requests whose `METHOD path` contains this, e.g. `POST /repos/acme/shop/pulls`. */
  match: z.string().default(''),
  seconds: z.number().nonnegative().default(60),
});
export type Fault = z.infer<typeof faultSchema>;
export type FaultInput = z.input<typeof faultSchema>;

const LIMIT = 5_000;

export class Faults {
  #faults: Fault[] = [];
  #used = 0;
  #resetAt = 0;
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Replaces what goes wrong from now on. */
  set(faults: FaultInput[]): void {
    this.#faults = faults.map((fault) => faultSchema.parse(fault));
  }

  get current(): readonly Fault[] {
    return this.#faults;
  }

  /**
   * What goes wrong with this request, before it is looked at. Slowness has been waited for.
   * @returns the fault, where one is to follow the request's being carried out
   * @throws Refused
   */
  async before(method: string, path: string): Promise<Fault | null> {
    const call = `${method} ${path}`;
    const fault = this.#faults.find(({ match }) => call.includes(match));
    if (!fault) return null;
    if (fault.times !== undefined) {
      fault.times -= 1;
      if (fault.times === 0) this.#faults = this.#faults.filter((other) => other !== fault);
    }
    switch (fault.kind) {
      case 'primary-limit':
        throw this.#primary(fault.seconds);
      case 'secondary-limit':
        throw secondary(fault.seconds);
      case 'server-error':
        throw new Refused({ status: 502, body: null });
      case 'slow':
        await pause(fault.seconds * 1000);
        return null;
      case 'lost-answer':
      case 'nonsense':
        return fault;
    }
  }

  /** Headers that every answer has (docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api). */
  headers(): Record<string, string> {
    const now = this.#now();
    if (now >= this.#resetAt) {
      this.#used = 0;
      this.#resetAt = now + 3_600_000;
    }
    this.#used += 1;
    return {
      'x-ratelimit-limit': String(LIMIT),
      'x-ratelimit-remaining': String(Math.max(0, LIMIT - this.#used)),
      'x-ratelimit-used': String(this.#used),
      'x-ratelimit-reset': String(Math.ceil(this.#resetAt / 1000)),
      'x-ratelimit-resource': 'core',
    };
  }

  #primary(seconds: number): Refused {
    const { answer } = refused(403, 'API rate limit exceeded for installation ID 1.');
    return new Refused({
      ...answer,
      headers: {
        'x-ratelimit-remaining': '0',
        'x-ratelimit-used': String(LIMIT),
        'x-ratelimit-reset': String(Math.ceil(this.#now() / 1000 + seconds)),
      },
    });
  }
}

function secondary(seconds: number): Refused {
  const { answer } = refused(
    403,
    'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.',
  );
  return new Refused({ ...answer, headers: { 'retry-after': String(seconds) } });
}

/** The answer that `nonsense` gives. */
export const NONSENSE: Answer = { status: 200, body: { hello: 'world' } };
