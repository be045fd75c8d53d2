import { env } from 'cloudflare:workers';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import worker from '../../src/index.ts';
import { CLOSE_NO_SUCH_SESSION, CLOSE_SIGNED_OUT } from '../../src/protocol/viewer.ts';
import { IssueSession } from '../../src/session/issue-session.ts';
import { WATCH_UNTIL } from '../../src/session/viewers/sockets.ts';
import { openDatabase } from '../../src/store/database.ts';
import { auditEntries } from '../../src/store/schema.ts';
import { spyOnLog } from '../support/log-spy.ts';
import { Browser } from './support/browser.ts';
import { FakeLinear } from './support/fake-linear.ts';
import { bindingsOf, installed, person, SECURE_ORIGIN, sessionOf, signedIn } from './support/people.ts';
import { tokenOf } from './support/programs.ts';

/** What is there, each with a word that stands in nothing else. */
interface Secret {
  id: string;
  word: string;
}

const SHARED = 'a'.repeat(64);
let browsers: Record<string, Browser>;
let sessions: Record<'acmeOpen' | 'acmeSecret' | 'acmeLoose' | 'globexOpen', Secret>;
/** Who sees which sessions; whom nothing is said of sees none. */
const SEES: Record<string, (keyof typeof sessions)[]> = {
  admin: ['acmeOpen', 'acmeLoose'],
  member: ['acmeOpen'],
  insider: ['acmeOpen', 'acmeSecret'],
  guest: ['acmeSecret'],
  elsewhere: ['globexOpen'],
  nobody: [],
  ended: [],
  installer: [],
};
const NAMES = { acme: 'Workspace Aardvark', globex: 'Workspace Gnu' };
const OF_ACME = ['admin', 'member', 'insider', 'guest'];

beforeAll(async () => {
  spyOnLog();
  const linear = new FakeLinear();
  const [acme, globex] = [await installed(linear, NAMES.acme), await installed(linear, NAMES.globex)];
  const word = () => `word${crypto.randomUUID().replaceAll('-', '')}`;
  const session = async (...[workspace, team]: [Parameters<typeof sessionOf>[0], Parameters<typeof sessionOf>[1]]) => {
    const own = word();
    return { id: await sessionOf(workspace, team, own), word: own };
  };
  sessions = {
    acmeOpen: await session(acme, acme.open),
    acmeSecret: await session(acme, acme.secret),
    acmeLoose: await session(acme, null),
    globexOpen: await session(globex, globex.open),
  };
  // The list is written beside what a session does; the crawler wants it there.
  await vi.waitFor(async () => {
    const { results } = await env.DB.prepare('select id from sessions').all();
    expect(results.length).toBeGreaterThanOrEqual(4);
  });
  const database = openDatabase(env.DB, env.ENCRYPTION_KEY);
  for (const [workspaceId, own] of [
    [acme.id, sessions.acmeOpen.word],
    [globex.id, sessions.globexOpen.word],
  ] as const) {
    const entry = { at: 1, actor: 'admin', action: 'setting.stored', workspaceId, details: JSON.stringify({ own }) };
    await database.orm.insert(auditEntries).values(entry);
  }
  for (const { id, word: own } of Object.values(sessions)) {
    await env.LOGS.put(`sessions/${id}/shared/${SHARED}`, own, { httpMetadata: { contentType: 'text/plain' } });
    await env.LOGS.put(`sessions/${id}/turn-0001.md`, own);
  }
  const sign = (name: string, more: object, where = acme) => signedIn(linear, person(linear, where, name, more));
  const ended = await sign('Ended', { teams: [acme.open.id, acme.secret.id], admin: true });
  const kept = new Map(ended.cookies);
  const headers = { 'content-type': 'application/json', origin: SECURE_ORIGIN };
  await ended.open('/api/me/sign-out', { method: 'POST', body: '{}', headers });
  for (const [name, value] of kept) ended.cookies.set(name, value);
  const basic = { authorization: `Basic ${btoa(`x:${env.ACCESS_PASSWORD}`)}` };
  browsers = {
    admin: await sign('Admin', { admin: true, teams: [acme.open.id] }),
    member: await sign('Member', { teams: [acme.open.id] }),
    insider: await sign('Insider', { teams: [acme.open.id, acme.secret.id] }),
    guest: await sign('Guest', { guest: true, teams: [acme.secret.id] }),
    elsewhere: await sign('Elsewhere', { teams: [globex.open.id] }, globex),
    nobody: new Browser(bindingsOf(), {}, SECURE_ORIGIN),
    ended,
    installer: new Browser(bindingsOf(), basic, SECURE_ORIGIN),
  };
  ids = { acme: acme.id, globex: globex.id };
});

let ids: { acme: string; globex: string };
afterEach(() => vi.useRealTimers());

/** Every address that the Worker answers, with each session, each workspace, and each way to ask for more. */
function addresses(): { method: string; path: string }[] {
  const known = new Map<string, { method: string; path: string }>();
  for (const { method, path } of worker.routes) {
    if (path.endsWith('*') && path !== '*') continue;
    const filled = Object.values(sessions).flatMap(({ id }) =>
      Object.values(ids).map((workspace) =>
        path
          .replace('/sessions/:id', `/sessions/${id}`)
          .replace(/:(id|workspace)(?=\/|$)/g, workspace)
          .replace(':hash', SHARED)
          .replace(/:\w+\{[^}]*\}+/g, '1')
          .replace(/:\w+/g, 'name')
          .replace(/^\*$/, '/'),
      ),
    );
    for (const one of filled) {
      const verb = method === 'ALL' ? 'GET' : method;
      known.set(`${verb} ${one}`, { method: verb, path: one });
    }
  }
  for (const query of ['?limit=100', '?limit=1', `?before=9999999999999-${'f'.repeat(64)}`]) {
    known.set(`list ${query}`, { method: 'GET', path: `/api/sessions${query}` });
  }
  for (const { id, word } of Object.values(sessions)) {
    for (const end of ['?before=end', '?after=0&limit=1000', `/find?text=${word}`, `/find?text=Work`]) {
      known.set(`${id} ${end}`, { method: 'GET', path: `/api/sessions/${id}${end}` });
    }
  }
  return [...known.values()];
}

async function ask(who: string, { method, path }: { method: string; path: string }) {
  const isChange = !['GET', 'HEAD'].includes(method);
  const body = JSON.stringify({ id: crypto.randomUUID(), text: 'Go on' });
  const headers = { 'content-type': 'application/json', origin: SECURE_ORIGIN };
  return browsers[who]?.open(path, isChange ? { method, body, headers } : { method });
}

describe.each(Object.keys(SEES))('%s, who asks every route', (who) => {
  it('is told nothing of a session, a team or a workspace that Linear does not show them', async () => {
    const own = (SEES[who] ?? []).map((name) => sessions[name]);
    const hidden = Object.values(sessions).filter((one) => !own.includes(one));
    const others =
      who === 'installer'
        ? []
        : [NAMES.globex, NAMES.acme].filter((name) => (name === NAMES.acme) !== OF_ACME.includes(who));
    const asked = addresses();
    expect(asked.length).toBeGreaterThan(100);
    const told: string[] = [];
    const shown = new Set<string>();
    let answered = 0;
    for (const address of asked) {
      const isSigningOut = address.path.startsWith('/api/me/sign-out');
      if (isSigningOut || address.path.startsWith('/gateway')) continue;
      const answer = await ask(who, address);
      const text = `${answer?.text} ${answer?.location}`;
      if (answer?.status === 200) answered += 1;
      const at = `${address.method} ${address.path} → ${answer?.status}`;
      expect(answer?.status, at).not.toBe(500);
      // What is asked for is no news: an address may be repeated.
      const news = text.replaceAll(encodeURIComponent(address.path), '').replaceAll(address.path, '');
      for (const { id, word } of hidden) {
        const isAsked = address.path.includes(id);
        if (news.includes(word) || (!isAsked && news.includes(id))) told.push(`${at}: ${word}`);
      }
      for (const { id, word } of own)
        if (news.includes(word)) shown.add(address.path.split('?')[0]?.replace(id, '') ?? '');
      for (const name of others) if (news.includes(name)) told.push(`${at}: ${name}`);
    }
    expect(told).toEqual([]);
    if (own.length === 0) return;
    expect(answered).toBeGreaterThan(5);
    // The crawler finds what is there to be found.
    for (const end of ['', '/find', '/log', `/shared/${SHARED}`]) expect(shown).toContain(`/api/sessions/${end}`);
    expect(shown).toContain('/api/sessions');
  });

  it('reads and watches the sessions of their own teams, and for the others there is none', async () => {
    for (const [name, { id }] of Object.entries(sessions)) {
      const sees = (SEES[who] ?? []).includes(name as keyof typeof sessions);
      const closed = who === 'nobody' || who === 'ended' || who === 'installer' ? 401 : 404;
      const read = await browsers[who]?.open(`/api/sessions/${id}`);
      expect(read?.status, name).toBe(sees ? 200 : closed);
      const upgrade = { upgrade: 'websocket', origin: SECURE_ORIGIN };
      // A browser cannot say how long it may watch.
      const live = await browsers[who]?.open(`/api/sessions/${id}/live`, {
        headers: { ...upgrade, [WATCH_UNTIL]: '9999999999999' },
      });
      expect(live?.status, name).toBe(101);
      const socket = live?.webSocket;
      const told: unknown[] = [];
      const code = new Promise<number>((resolve) => {
        socket?.addEventListener('close', (event) => resolve(event.code));
        socket?.addEventListener('message', ({ data }) => {
          told.push(data);
          socket.close(1000);
          resolve(1000);
        });
      });
      socket?.accept();
      // A page cannot read why a socket was not opened; it is told by the code of its close, and nothing else.
      expect(await code, name).toBe(sees ? 1000 : closed === 401 ? CLOSE_SIGNED_OUT : CLOSE_NO_SUCH_SESSION);
      expect(told.length > 0, name).toBe(sees);
    }
  });

  it('has those sessions in the list, and no others', async () => {
    const list = await browsers[who]?.open('/api/sessions');
    if (list?.status !== 200) {
      expect([list?.status, SEES[who]]).toEqual([401, []]);
      return;
    }
    const listed: { id: string }[] = JSON.parse(list.text).sessions;
    const expected = (SEES[who] ?? []).map((name) => sessions[name].id);
    expect(listed.map(({ id }) => id).toSorted()).toEqual(expected.toSorted());
  });
});

describe.each(['admin', 'member', 'insider', 'guest', 'elsewhere'])(
  'a program of %s, which asks every operation',
  (who) => {
    it('is told what its person sees, and nothing of another session, team or workspace', async () => {
      const browser = browsers[who];
      if (!browser) throw new Error('nobody has this name');
      const { token } = await tokenOf(browser, 'admin');
      const program = new Browser(bindingsOf(), { authorization: `Bearer ${token}` }, SECURE_ORIGIN);
      const own = (SEES[who] ?? []).map((name) => sessions[name]);
      const hidden = Object.values(sessions).filter((one) => !own.includes(one));
      const [other] = [NAMES.globex, NAMES.acme].filter((name) => (name === NAMES.acme) !== OF_ACME.includes(who));
      // A stream that is open has no end to wait for.
      const asked = addresses().filter(({ path }) => path.startsWith('/api/v1/') && !path.endsWith('/events'));
      expect(asked.length).toBeGreaterThan(40);
      const told: string[] = [];
      let shown = '';
      for (const { method, path } of asked) {
        const body = JSON.stringify({ text: 'Go on', question: 'none', issue: 'ENG-1', value: 'x' });
        const headers = { 'content-type': 'application/json' };
        const { status, text } = await program.open(path, method === 'GET' ? { method } : { method, body, headers });
        expect(status, `${method} ${path}`).not.toBe(500);
        const news = text.replaceAll(path, '');
        for (const { id, word } of hidden) {
          if (news.includes(word) || (!path.includes(id) && news.includes(id))) told.push(`${method} ${path}: ${word}`);
        }
        if (other !== undefined && news.includes(other)) told.push(`${method} ${path}: ${other}`);
        shown += news;
      }
      expect(told).toEqual([]);
      for (const { word } of own) expect(shown).toContain(word);
      for (const { id } of hidden) {
        expect((await program.open(`/api/v1/sessions/${id}/events`)).status).toBe(404);
      }
    });
  },
);

describe('a row of the list that an earlier version wrote', () => {
  it('is shown to those who see the team of its session, which is asked', async () => {
    await env.DB.prepare('update sessions set team_id = null').run();
    for (const who of ['admin', 'member', 'insider', 'guest', 'elsewhere']) {
      const list = await browsers[who]?.open('/api/sessions');
      const listed: { id: string }[] = JSON.parse(list?.text ?? '{}').sessions;
      const expected = (SEES[who] ?? []).map((name) => sessions[name].id);
      expect(listed.map(({ id }) => id).toSorted(), who).toEqual(expected.toSorted());
    }
    const { results } = await env.DB.prepare('select id from sessions where team_id is null').all();
    expect(results).toEqual([]);
  });

  it('is hidden while its session does not know the team either, which is not asked each time the list is read', async () => {
    const { id } = sessions.acmeOpen;
    await env.DB.prepare('update sessions set team_id = null where id = ?').bind(id).run();
    const asked = vi.spyOn(IssueSession.prototype, 'whose').mockReturnValue({ workspaceId: ids.acme, team: 'unknown' });
    try {
      for (let read = 0; read < 3; read += 1) {
        expect((await browsers.member?.open('/api/sessions'))?.text).not.toContain(id);
      }
      expect(asked).toHaveBeenCalledTimes(1);
    } finally {
      asked.mockRestore();
    }
    vi.useFakeTimers({ now: Date.now() + 11 * 60_000, toFake: ['Date'] });
    expect((await browsers.member?.open('/api/sessions'))?.text).toContain(id);
  });
});

describe('the audit log', () => {
  it('is read by an admin of the workspace, about that workspace alone, also as a file', async () => {
    const own = await browsers.admin?.open(`/api/audit/${ids.acme}`);
    expect(own?.text).toContain(sessions.acmeOpen.word);
    const file = await browsers.admin?.open(`/api/audit/${ids.acme}/export`);
    expect(file?.headers.get('content-type')).toContain('text/csv');
    expect(file?.text.split('\r\n')[0]).toBe('id,time,actor,action,workspace,details');
    expect(file?.text).toContain(sessions.acmeOpen.word);
    expect(file?.text).not.toContain(sessions.globexOpen.word);
    for (const path of [`/api/audit/${ids.globex}`, `/api/audit/${ids.globex}/export`]) {
      expect((await browsers.admin?.open(path))?.status).toBe(404);
    }
    for (const path of ['/api/audit', '/api/audit/export'])
      expect((await browsers.admin?.open(path))?.status).toBe(403);
    expect((await browsers.member?.open(`/api/audit/${ids.acme}`))?.status).toBe(403);
  });

  it('says in the last line of a file that was cut where to continue, and the next file begins there', async () => {
    const whole = await browsers.admin?.open(`/api/audit/${ids.acme}/export`);
    const [head, ...lines] = whole?.text.trimEnd().split('\r\n') ?? [];
    expect(lines.length).toBeGreaterThan(2);
    const found: string[] = [];
    for (let query = '?limit=2'; query !== ''; ) {
      const { text = '' } = (await browsers.admin?.open(`/api/audit/${ids.acme}/export${query}`)) ?? {};
      const [first, ...rest] = text.trimEnd().split('\r\n');
      expect(first).toBe(head);
      const next = /before=(\d+)$/.exec(rest.at(-1) ?? '')?.[1];
      found.push(...(next === undefined ? rest : rest.slice(0, -1)));
      expect(rest.length).toBeLessThanOrEqual(next === undefined ? 2 : 3);
      query = next === undefined ? '' : `?limit=2&before=${next}`;
    }
    expect(found).toEqual(lines);
  });
});
