/**
 * What was spent of the budgets of sessions, repositories and months, and what requests under way may still cost. In dollars;
 * times in ms since the epoch.
 */
import type { Spent } from '../../claude-quota/budget.ts';
import type { Database } from '../../store/database.ts';
import { readSpending, type UsageSum } from '../../store/usage.ts';

/** On whose behalf Claude is asked. */
export interface Asker {
  session: string;
  workspace: string;
  /** `owner/name` */
  repository: string;
}

/** A request that never reported back holds its part of a budget no longer than this: longer than the longest answer takes. */
const RESERVED_MS = 60 * 60_000;

export class Spending {
  readonly #database: Database;
  readonly #unwritten: () => UsageSum[];
  readonly #spent = new Map<string, Promise<{ usd: number }>>();
  readonly #reserved = new Map<string, { asker: Asker; usd: number; at: number }>();

  /** @param unwritten what was used and is not in the database yet */
  constructor(database: Database, unwritten: () => UsageSum[]) {
    this.#database = database;
    this.#unwritten = unwritten;
  }

  /** What was spent, read from the database once and counted on from there. @throws DatabaseError */
  async spentBy(asker: Asker): Promise<Spent> {
    const [session, repository, month] = spentKeys(asker, Date.now());
    const keys = [session, repository, month] as const;
    if (keys.some((key) => !this.#spent.has(key))) {
      const read = readSpending(this.#database, {
        sessionId: asker.session,
        workspaceId: asker.workspace,
        repository: asker.repository,
        month: new Date().toISOString().slice(0, 7),
      });
      const unwritten = this.#unwritten();
      const plus = (usd: number, isIn: (sum: UsageSum) => boolean) =>
        usd + unwritten.filter(isIn).reduce((total, { costUsd }) => total + costUsd, 0);
      const ofRepository = (sum: UsageSum) =>
        sum.workspaceId === asker.workspace && sum.repository === asker.repository;
      const values = [
        read.then((spent) => ({ usd: plus(spent.session, ({ sessionId }) => sessionId === asker.session) })),
        read.then((spent) => ({ usd: plus(spent.repositoryThisMonth, ofRepository) })),
        read.then((spent) => ({ usd: plus(spent.month, () => true) })),
      ];
      for (const [index, key] of keys.entries()) {
        const value = values[index];
        if (this.#spent.has(key) || !value) continue;
        this.#spent.set(key, value);
        // A failed read is tried again by the next request.
        value.catch(() => this.#spent.delete(key));
      }
    }
    const usd = async (key: string) => (await this.#spent.get(key))?.usd ?? 0;
    const [ofSession, ofRepository, ofMonth] = await Promise.all([usd(session), usd(repository), usd(month)]);
    return { session: ofSession, repositoryThisMonth: ofRepository, month: ofMonth };
  }

  /** The same with what requests under way may cost. */
  withReserved(spent: Spent, asker: Asker, now: number): Spent {
    const sums = { ...spent };
    for (const [id, { asker: other, usd, at }] of this.#reserved) {
      if (now - at > RESERVED_MS) {
        this.#reserved.delete(id);
        continue;
      }
      sums.month += usd;
      if (other.workspace === asker.workspace && other.repository === asker.repository) sums.repositoryThisMonth += usd;
      if (other.session === asker.session) sums.session += usd;
    }
    return sums;
  }

  /** What all requests under way may cost, in dollars. */
  reserved(now: number): number {
    let usd = 0;
    for (const reservation of this.#reserved.values()) if (now - reservation.at <= RESERVED_MS) usd += reservation.usd;
    return usd;
  }

  /** Sets aside what a request may cost. @returns by what it is released */
  reserve(asker: Asker, usd: number, now: number): string {
    const reservation = crypto.randomUUID();
    this.#reserved.set(reservation, { asker, usd, at: now });
    return reservation;
  }

  release(reservation: string): void {
    this.#reserved.delete(reservation);
  }

  /** Adds what a request has cost. */
  async add(asker: Asker, usd: number, now: number): Promise<void> {
    for (const key of spentKeys(asker, now)) {
      const spent = await this.#spent.get(key);
      if (spent) spent.usd += usd;
    }
  }
}

/** Under what the spending of a session, of a repository in a month and of a month is remembered. */
function spentKeys({ session, workspace, repository }: Asker, now: number): [string, string, string] {
  const month = new Date(now).toISOString().slice(0, 7);
  return [`session ${session}`, `repository ${month} ${workspace} ${repository}`, `month ${month}`];
}
