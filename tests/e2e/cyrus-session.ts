/** A session as Cyrus's own API tells it. */
import type { z } from 'zod';
import { type SessionPage, sessionPageSchema } from '../../src/protocol/api.ts';
import type { JournalEntry, JournalKind } from '../../src/protocol/journal.ts';
import { holds, same, until } from './run.ts';

type EntryOf<K extends JournalKind> = Extract<JournalEntry, { kind: K }>;

export class CyrusSession {
  readonly id: string;
  /** Address of the live page. */
  readonly pageUrl: string;
  readonly #origin: string;
  readonly #headers: Record<string, string>;

  /** @param pageUrl as it is linked in Linear. @param headers what pages ask for, as a password */
  constructor(pageUrl: string, headers: Record<string, string> = {}) {
    const url = new URL(pageUrl);
    this.pageUrl = pageUrl;
    this.#headers = headers;
    this.#origin = url.origin;
    this.id = url.pathname.split('/').at(-1) ?? '';
  }

  /** The session as it is, with its whole journal, in order. */
  async read(): Promise<{ session: SessionPage['session']; entries: JournalEntry[] }> {
    const entries: JournalEntry[] = [];
    for (;;) {
      const page = await this.#get(`?after=${entries.at(-1)?.seq ?? 0}`, sessionPageSchema);
      entries.push(...page.entries);
      if (page.entries.length === 0 || (entries.at(-1)?.seq ?? 0) >= page.head) {
        return { session: page.session, entries };
      }
    }
  }

  /** What it is doing, in one word. */
  async phase(): Promise<SessionPage['session']['phase']> {
    return (await this.#get(`?after=${Number.MAX_SAFE_INTEGER}`, sessionPageSchema)).session.phase;
  }

  /** Entries of one kind, in order. */
  async entries<K extends JournalKind>(kind: K): Promise<EntryOf<K>[]> {
    const { entries } = await this.read();
    return entries.filter((entry): entry is EntryOf<K> => entry.kind === kind);
  }

  /** Waits until turn `turn` has ended and nothing goes on any more. */
  async turnEnded(turn: number, limitMs = 60_000): Promise<EntryOf<'turn-ended'>> {
    let last: unknown = null;
    const look = async () => {
      const { session, entries } = await this.read();
      last = { phase: session.phase, reason: session.reason, entry: entries.at(-1) };
      const ended = entries.find((entry) => entry.kind === 'turn-ended' && entry.turn === turn);
      return session.phase === 'waiting' && ended?.kind === 'turn-ended' ? ended : null;
    };
    return until(`the end of turn ${turn}`, look, { limitMs, everyMs: 100, describe: () => last });
  }

  /** A download of the session: `log` or `patch`. */
  async download(what: 'log' | 'patch'): Promise<string> {
    const response = await fetch(`${this.#origin}/api/sessions/${this.id}/${what}`, { headers: this.#headers });
    holds(`The ${what} can be downloaded`, response.ok, 200, `${response.status} ${await response.clone().text()}`);
    return response.text();
  }

  async #get<T>(query: string, schema: z.ZodType<T>): Promise<T> {
    const address = `${this.#origin}/api/sessions/${this.id}${query}`;
    const response = await fetch(address, { headers: this.#headers });
    holds('Cyrus gives out the session', response.ok, 200, `${response.status} for ${address}`);
    return schema.parse(await response.json());
  }
}

/** @throws Unkept unless a journal is numbered 1, 2, 3, … */
export function isNumberedWithoutGaps(entries: readonly JournalEntry[]): void {
  same(
    'The journal is numbered without gaps',
    entries.map((entry) => entry.seq),
    entries.map((_, index) => index + 1),
  );
}
