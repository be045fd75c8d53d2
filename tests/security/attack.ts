/** An attack: what somebody tries against the running product, named by what the product promises. */
import type { Target } from './target.ts';

export interface Attack {
  /** What holds, in one sentence. */
  name: string;
  /** Tries it. @throws NotHeld where the promise is broken */
  attempt(target: Target): Promise<void>;
}

/** A promise was broken: what was tried, and what came of it. */
export class NotHeld extends Error {
  override readonly name = 'NotHeld';
}

/** @throws NotHeld unless the answer has one of these statuses */
export async function answers(what: string, response: Response, ...statuses: number[]): Promise<string> {
  const text = await response.text();
  if (!statuses.includes(response.status)) {
    throw new NotHeld(`${what}: ${response.status} instead of ${statuses.join(' or ')}: ${text.slice(0, 300)}`);
  }
  return text;
}

/** @throws NotHeld where the condition does not hold */
export function held(what: string, condition: boolean): void {
  if (!condition) throw new NotHeld(what);
}
