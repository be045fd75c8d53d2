import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { exports } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { foundEntriesSchema, type SessionPage, sessionPageSchema } from '../../src/protocol/api.ts';
import type { JournalBody } from '../../src/protocol/journal.ts';
import { shownData } from '../../src/protocol/text/clean-text.ts';
import { created, newThread, send, type Thread } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { registerWorkspace, session } from './support/sessions.ts';

vi.spyOn(console, 'log').mockImplementation(() => {});

let thread: Thread;

beforeEach(async () => {
  new Outside();
  await registerWorkspace();
  thread = newThread();
  await send(created(thread));
});

/** Adds entries behind those of the session, as if its next life found them. */
async function add(...bodies: JournalBody[]): Promise<void> {
  await runInDurableObject(session(thread), (_object, { storage: { sql } }) => {
    const { head } = sql.exec<{ head: number }>('SELECT max(seq) AS head FROM journal').one();
    for (const [index, body] of bodies.entries()) {
      const json = JSON.stringify(body);
      sql.exec(
        'INSERT INTO journal (seq, at, turn, kind, body) VALUES (?, 1, 1, ?, ?)',
        head + index + 1,
        body.kind,
        json,
      );
    }
  });
  await evictDurableObject(session(thread));
}

async function ask(path: string): Promise<Response> {
  return exports.default.fetch(`http://cyrus.test/api/sessions/${session(thread).id.toString()}${path}`);
}

const read = async (query: string): Promise<SessionPage> => sessionPageSchema.parse(await (await ask(query)).json());
const notices = (count: number): JournalBody[] =>
  Array.from({ length: count }, (_, index) => ({ kind: 'notice', level: 'info', text: `note ${index}` }));

describe('a long journal', () => {
  it('is read newest first, backwards without a gap to its beginning', async () => {
    await add(...notices(400));
    const newest = await read('?before=end&limit=150');
    const all = newest.entries.map(({ seq }) => seq);
    expect(all.at(-1)).toBe(Math.max(...all));
    while ((all[0] ?? 1) > 1) {
      const { entries } = await read(`?before=${all[0]}&limit=150`);
      expect(entries.length).toBeGreaterThan(0);
      all.unshift(...entries.map(({ seq }) => seq));
    }
    expect(all).toEqual(all.map((_, index) => index + 1));
  });

  it('gives no more at once than loads in a moment, and always something', async () => {
    await add(...Array.from({ length: 20 }, (): JournalBody => ({ kind: 'text', text: 'x'.repeat(60_000) })));
    const { entries } = await read('?before=end&limit=150');
    expect(entries.length).toBe(4);
    const text = 'y'.repeat(900_000);
    await add({ kind: 'unknown', type: 'large', raw: text });
    expect((await read('?before=end')).entries).toHaveLength(1);
  });

  it('says with its newest part how the branch was saved last, however long ago that was', async () => {
    const branch = {
      branch: 'cyrus/eng-7',
      head: 'a'.repeat(40),
      commits: [],
      files: [],
      pushed: true,
      patchBytes: null,
    };
    await add({ kind: 'saved', newCommits: 1, ...branch }, ...notices(300));
    expect((await read('?before=end&limit=10')).saved).toMatchObject({ kind: 'saved', newCommits: 1 });
    expect((await read('?before=5')).saved).toBeUndefined();
  });

  it('refuses a place in it that is none, in words', async () => {
    expect((await ask('?before=nowhere')).status).toBe(400);
    expect((await ask('?before=0')).status).toBe(400);
  });
});

describe('the search over a session', () => {
  const find = async (query: string) => foundEntriesSchema.parse(await (await ask(`/find?${query}`)).json());

  it('finds what people see, in texts, calls and results, whatever the case, and newest first', async () => {
    await add(
      { kind: 'text', text: 'The Carburettor is cold.' },
      { kind: 'tool-call', toolUseId: 't1', name: 'Bash', input: { command: 'grep -r carburettor src' } },
      { kind: 'tool-result', toolUseId: 't1', text: 'src/engine.ts: \u001b[31mcarburettor\u001b[0m', isError: false },
      { kind: 'notice', level: 'info', text: 'unrelated' },
    );
    const { matches, next } = await find('text=CARBURETTOR');
    expect(matches.map(({ kind, excerpt, from, to }) => [kind, excerpt.slice(from, to)])).toEqual([
      ['tool-result', 'carburettor'],
      ['tool-call', 'carburettor'],
      ['text', 'Carburettor'],
    ]);
    expect(matches[0]?.excerpt).toBe('src/engine.ts: carburettor');
    expect(next).toBeUndefined();
  });

  it('does not find how entries are stored, and finds signs that are written in another way there', async () => {
    await add({ kind: 'text', text: 'He said "no" — 100 %_' });
    expect((await find('text=isError')).matches).toEqual([]);
    expect((await find('text=truncatedFrom')).matches).toEqual([]);
    for (const text of ['"no"', '100 %_', '— 1']) {
      expect((await find(`text=${encodeURIComponent(text)}`)).matches).toHaveLength(1);
    }
    expect((await find(`text=${encodeURIComponent('1%0')}`)).matches).toEqual([]);
  });

  it('finds words of any script, as they are written and in another case', async () => {
    await add({ kind: 'text', text: 'Übergabe der Kasse' }, { kind: 'text', text: 'Привет, мир' });
    for (const text of ['Übergabe', 'übergabe', 'Привет', 'привет', 'МИР']) {
      expect(
        (await find(`text=${encodeURIComponent(text)}`)).matches.map(({ excerpt, from, to }) =>
          excerpt.slice(from, to).toLowerCase(),
        ),
      ).toEqual([text.toLowerCase()]);
    }
  });

  it('marks the match also behind characters that nobody sees', async () => {
    await add({ kind: 'text', text: 'a\u200b\u200bb\u00ad carburettor' });
    const [match] = (await find('text=carburettor')).matches;
    expect(shownData(match)).toEqual(match);
    expect(match?.excerpt.slice(match.from, match.to)).toBe('carburettor');
  });

  it('continues further back from where an answer ended', async () => {
    await add(...notices(120));
    const first = await find('text=note');
    expect(first.matches).toHaveLength(50);
    const second = await find(`text=note&before=${first.next}`);
    const third = await find(`text=note&before=${second.next}`);
    const seqs = [first, second, third].flatMap(({ matches }) => matches.map(({ seq }) => seq));
    expect(new Set(seqs).size).toBe(120);
    expect(seqs).toEqual(seqs.toSorted((one, other) => other - one));
    expect(third.next).toBeUndefined();
  });

  it('searches a bounded part of a long session in one answer, and the rest from where that ended', async () => {
    await add({ kind: 'text', text: 'the needle' }, ...notices(5_100));
    const first = await find('text=needle');
    expect(first.matches).toEqual([]);
    const second = await find(`text=needle&before=${first.next}`);
    expect(second.matches).toHaveLength(1);
    expect(second.next).toBeUndefined();
  });

  it('is asked for something, and of a session that is there', async () => {
    expect((await ask('/find?text=%20')).status).toBe(400);
    expect((await ask(`/find?text=${'x'.repeat(201)}`)).status).toBe(400);
    const url = `http://cyrus.test/api/sessions/${'0'.repeat(64)}/find?text=x`;
    expect((await exports.default.fetch(url)).status).toBe(404);
  });
});
