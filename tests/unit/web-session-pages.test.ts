import { describe, expect, it } from 'vitest';
import type { SessionRow } from '../../src/protocol/viewer.ts';
import { type Listed, withNewest, withOlder } from '../../src/web/pages/session-pages.ts';

const row = (id: string, updatedAt: number, title = id): SessionRow => ({
  id,
  identifier: id,
  title,
  url: null,
  repository: null,
  phase: 'waiting',
  reason: '',
  lastOutcome: null,
  turn: 1,
  createdAt: 0,
  updatedAt,
});

/** A server with sessions, which gives them out by pages as the route does. */
class Server {
  readonly rows: SessionRow[] = [];

  page(size: number, before?: string) {
    const sorted = this.rows.toSorted((a, b) => b.updatedAt - a.updatedAt);
    const from = before === undefined ? 0 : sorted.findIndex((one) => one.updatedAt < Number(before));
    const sessions = from === -1 ? [] : sorted.slice(from, from + size);
    const last = sessions.length === size ? sessions.at(-1) : undefined;
    return { sessions, ...(last && { next: String(last.updatedAt) }) };
  }
}

const ids = ({ rows }: Listed) => rows.map(({ id }) => id).toSorted();

describe('the list of sessions', () => {
  it('continues page by page to the end, with every session once', () => {
    const server = new Server();
    for (let number = 0; number < 25; number += 1) server.rows.push(row(`s${number}`, 1_000 + number));
    let listed = withNewest(null, server.page(10));
    for (let pages = 0; listed.next !== undefined; pages += 1) {
      expect(pages).toBeLessThan(3);
      listed = withOlder(listed, server.page(10, listed.next));
    }
    expect(ids(listed)).toEqual(server.rows.map(({ id }) => id).toSorted());
  });

  it('loses none that newer ones push off the first page, and shows each as it is now', () => {
    const server = new Server();
    for (let number = 0; number < 12; number += 1) server.rows.push(row(`s${number}`, 1_000 + number));
    let listed = withNewest(null, server.page(10));
    server.rows.push(row('new-1', 2_000), row('new-2', 2_001));
    server.rows[5] = row('s5', 2_002, 'changed');
    listed = withNewest(listed, server.page(10));
    listed = withOlder(listed, server.page(10, listed.next));
    expect(ids(listed)).toEqual(server.rows.map(({ id }) => id).toSorted());
    expect(listed.rows.find(({ id }) => id === 's5')?.title).toBe('changed');
  });

  it('begins again if more has changed than one page holds, so that none in between is missing', () => {
    const server = new Server();
    for (let number = 0; number < 30; number += 1) server.rows.push(row(`s${number}`, 1_000 + number));
    let listed = withNewest(null, server.page(10));
    for (let number = 0; number < 15; number += 1) server.rows.push(row(`new${number}`, 2_000 + number));
    listed = withNewest(listed, server.page(10));
    while (listed.next !== undefined) listed = withOlder(listed, server.page(10, listed.next));
    expect(ids(listed)).toEqual(server.rows.map(({ id }) => id).toSorted());
  });

  it('is empty if there are none', () => {
    expect(withNewest(null, new Server().page(10))).toEqual({ rows: [], next: undefined });
    expect(withNewest({ rows: [], next: undefined }, { sessions: [row('a', 1)] }).rows).toHaveLength(1);
  });
});
