import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import worker from '../../src/index.ts';
import { defaultWorkspaceSettings } from '../../src/protocol/settings/access-rules.ts';
import { operations } from '../../src/protocol/v1/document.ts';
import {
  callerSchema,
  entriesSchema,
  sessionsSchema,
  startedSchema,
  takenSchema,
} from '../../src/protocol/v1/schemas.ts';
import { PAGE_PROTOCOL } from '../../src/protocol/version.ts';
import { listAudit } from '../../src/store/audit.ts';
import { openDatabase } from '../../src/store/database.ts';
import { leaveKey } from '../../src/store/people/api-answers.ts';
import { addUsage } from '../../src/store/usage.ts';
import { upsertRepository } from '../../src/store/workspaces/repositories.ts';
import { writeWorkspaceSettings } from '../../src/store/workspaces/workspace-settings.ts';
import { spyOnLog } from '../support/log-spy.ts';
import type { Browser } from './support/browser.ts';
import { FakeLinear, type FakePerson } from './support/fake-linear.ts';
import { installed, person, SECURE_ORIGIN, sessionOf, signedIn } from './support/people.ts';
import { Program, tokenOf } from './support/programs.ts';

const UUID_V4 = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;
const db = openDatabase(env.DB, env.ENCRYPTION_KEY);
let linear: FakeLinear;
let acme: Awaited<ReturnType<typeof installed>>;
let ada: FakePerson;
let browser: Browser;
let program: Program;

beforeEach(async () => {
  spyOnLog();
  linear = new FakeLinear();
  acme = await installed(linear, 'Acme');
  ada = person(linear, acme, 'Ada', { admin: true, teams: [acme.open.id] });
  browser = await signedIn(linear, ada);
  program = new Program((await tokenOf(browser, 'admin')).token);
});
afterEach(() => vi.useRealTimers());

async function tokenIdOf(of: Program): Promise<string> {
  return callerSchema.parse((await of.ask('GET', '/me')).json).token.id;
}

/** Linear has this issue, under its key. */
function hasIssue(key: string, teamId: string, more: object = {}): string {
  const id = crypto.randomUUID();
  const team = { id: teamId, key: 'ENG', name: 'Engineering' };
  const issue = {
    ...{ id, identifier: key, title: 'The cart is empty', url: `https://linear.app/acme/issue/${key}` },
    ...{ archivedAt: null, trashed: false, state: { type: 'unstarted' }, team, labels: { nodes: [] } },
    ...{ description: 'It should not be.', branchName: null, project: null },
    ...more,
  };
  linear.interfere = (_url, body) => {
    if (!/query Issue(Now|Facts)/.test(body)) return null;
    const { variables } = JSON.parse(body);
    if (variables.id === key || variables.id === id) return Response.json({ data: { issue } });
    const extensions = { type: 'invalid input', code: 'INPUT_ERROR', statusCode: 400 };
    return Response.json({ data: null, errors: [{ message: 'Entity not found: Issue', extensions }] });
  };
  return id;
}

describe('the document of the API', () => {
  it('has every route of the router, and no other', () => {
    const ofRouter = worker.routes
      .filter(({ method, path }) => method !== 'ALL' && path.startsWith('/api/v1/'))
      .map(({ method, path }) => `${method} ${path.replace('/api/v1', '').replaceAll(/:(\w+)/g, '{$1}')}`)
      .filter((route) => !['GET /metrics', 'GET /openapi.json'].includes(route));
    const inDocument = operations.map(({ method, path }) => `${method.toUpperCase()} ${path}`);
    expect([...new Set(ofRouter)].toSorted()).toEqual(inDocument.toSorted());
  });

  it('is given to everybody, and names the scope that each operation needs', async () => {
    const response = await worker.request(`${SECURE_ORIGIN}/api/v1/openapi.json`, {}, env);
    const document: { openapi: string; servers: { url: string }[] } = await response.json();
    expect([response.status, document.openapi, document.servers[0]?.url]).toEqual([
      200,
      '3.1.0',
      `${SECURE_ORIGIN}/api/v1`,
    ]);
    for (const { summary, scope } of operations) expect([summary.length > 5, scope.length > 3]).toEqual([true, true]);
  });

  it('is what an answer for no address at all points to, as a problem', async () => {
    const { status, headers, json } = await program.ask('GET', '/nothing');
    expect([status, headers.get('content-type')]).toEqual([404, 'application/problem+json']);
    expect(json).toMatchObject({ type: 'urn:cyrus:problem:not_found', title: 'Not Found', status: 404 });
  });
});

describe('a program that reads', () => {
  it('goes through the list by its cursor, and meets each session of its person once', async () => {
    const ids = [];
    for (const title of ['One', 'Two', 'Three']) ids.push(await sessionOf(acme, acme.open, title));
    await sessionOf(acme, acme.secret, 'Hidden');
    await vi.waitFor(async () => {
      const { results } = await env.DB.prepare('select id from sessions where workspace_id = ?').bind(acme.id).all();
      expect(results).toHaveLength(4);
    });
    const met: string[] = [];
    for (let path = '/sessions?limit=1'; path !== ''; ) {
      const { data, next } = sessionsSchema.parse((await program.ask('GET', path)).json);
      met.push(...data.map(({ id }) => id));
      path = next === null ? '' : `/sessions?limit=1&cursor=${next}`;
    }
    expect(met.toSorted()).toEqual(ids.toSorted());
  });

  it('goes through the journal by its numbers', async () => {
    const id = await sessionOf(acme, acme.open, 'Read me');
    for (const text of ['Go on', 'And on']) await program.ask('POST', `/sessions/${id}/prompts`, { text });
    const all = entriesSchema.parse((await program.ask('GET', `/sessions/${id}/entries?limit=1000`)).json);
    expect(all.next).toBeNull();
    expect(all.data.length).toBeGreaterThan(2);
    const seqs: number[] = [];
    for (let after: number | null = 0; after !== null; ) {
      const page = entriesSchema.parse(
        (await program.ask('GET', `/sessions/${id}/entries?after=${after}&limit=1`)).json,
      );
      seqs.push(...page.data.map(({ seq }) => seq));
      after = page.next;
    }
    expect(seqs).toEqual(all.data.map(({ seq }) => seq));
  });

  it('gets the session, its log and its patch as the page has them', async () => {
    const id = await sessionOf(acme, acme.open, 'A log');
    await env.LOGS.put(`sessions/${id}/turn-0001.md`, '# Turn 1');
    expect((await program.ask('GET', `/sessions/${id}`)).json).toMatchObject({ id, issue: { title: 'A log' } });
    expect((await program.ask('GET', `/sessions/${id}/log`)).headers.get('content-type')).toContain('text/markdown');
    expect((await program.ask('GET', `/sessions/${id}/diff`)).json).toMatchObject({ status: 404, code: 'no_patch' });
  });

  it('is let into the live socket of its sessions alone, and asked again after minutes', async () => {
    const id = await sessionOf(acme, acme.open, 'Live');
    const hidden = await sessionOf(acme, acme.secret, 'Hidden too');
    expect((await program.ask('GET', `/sessions/${hidden}/live`)).status).toBe(404);
    expect((await program.ask('GET', `/sessions/${id}/live`)).json).toMatchObject({ status: 426 });
    const { status, webSocket } = await program.ask('GET', `/sessions/${id}/live?after=1`, undefined, {
      upgrade: 'websocket',
    });
    expect(status).toBe(101);
    const first = new Promise<string>((resolve) =>
      webSocket?.addEventListener('message', ({ data }) => resolve(String(data))),
    );
    webSocket?.accept();
    expect(JSON.parse(await first)).toMatchObject({ t: 'hello', protocol: PAGE_PROTOCOL });
    webSocket?.close(1000);
  });

  it('is streamed each entry with its number, and continues after the last one that it has', async () => {
    const id = await sessionOf(acme, acme.open, 'Stream');
    const hidden = await sessionOf(acme, acme.secret, 'Hidden as well');
    for (const text of ['Go on', 'And on']) await program.ask('POST', `/sessions/${id}/prompts`, { text });
    const all = entriesSchema.parse((await program.ask('GET', `/sessions/${id}/entries`)).json).data;
    const told = await program.stream(`/sessions/${id}/events`, all.length + 1);
    expect(told[0]).toMatchObject({ event: 'session', data: { id } });
    const entries = told.filter(({ event }) => event === 'entry');
    expect(entries.slice(0, all.length).map(({ data }) => data)).toEqual(all);
    expect(entries.slice(0, all.length).map((one) => one.id)).toEqual(all.map(({ seq }) => String(seq)));
    const rest = await program.stream(`/sessions/${id}/events?after=0`, 2, { 'last-event-id': String(all[1]?.seq) });
    expect(rest[1]).toMatchObject({ event: 'entry', data: all[2] });
    expect((await program.ask('GET', `/sessions/${hidden}/events`)).status).toBe(404);
  });

  it('hears on its stream what is asked while it listens', async () => {
    const id = await sessionOf(acme, acme.open, 'Listening');
    const { head } = entriesSchema.parse((await program.ask('GET', `/sessions/${id}/entries`)).json);
    const listening = program.stream(`/sessions/${id}/events?after=${head}`, 3);
    await program.ask('POST', `/sessions/${id}/prompts`, { text: 'Something new' });
    const data = (await listening).filter(({ event }) => event === 'entry').map((one) => one.data);
    expect(JSON.stringify(data)).toContain('Something new');
  });

  it('is told of everything that does not fit in its request where it is and why', async () => {
    const { status, json } = await program.ask('GET', '/sessions?limit=0&cursor=x&more=1');
    expect(status).toBe(400);
    expect(json).toMatchObject({ code: 'bad_request' });
    const { errors } = json as { errors: { in: string; pointer: string }[] };
    expect(errors.map(({ in: where, pointer }) => `${where} ${pointer}`).toSorted()).toEqual([
      'query /',
      'query /cursor',
      'query /limit',
    ]);
    const body = await program.ask('POST', '/sessions', { issue: 'no key', other: 1 });
    expect(body.json).toMatchObject({ status: 400 });
    expect((await program.ask('POST', '/sessions', '{', {})).json).toMatchObject({ status: 400 });
    const plain = await program.ask('POST', '/sessions', 'x', { 'content-type': 'text/plain' });
    expect(plain.json).toMatchObject({ status: 415 });
  });
});

describe('a program that starts a session', () => {
  it('has it begin on the issue in its person’s name, and a later start joins it', async () => {
    hasIssue('ENG-7', acme.open.id);
    const first = await program.ask('POST', '/sessions', { issue: 'ENG-7' });
    expect(first.status, first.text).toBe(202);
    const { session, url } = startedSchema.parse(first.json);
    expect(url).toBe(`${SECURE_ORIGIN}/sessions/${session}`);
    expect((await program.ask('GET', `/sessions/${session}`)).json).toMatchObject({
      issue: { identifier: 'ENG-7', title: 'The cart is empty' },
    });
    const again = startedSchema.parse(
      (await program.ask('POST', '/sessions', { issue: 'ENG-7', text: 'Also this' })).json,
    );
    expect(again.session).toBe(session);
    const { data } = entriesSchema.parse((await program.ask('GET', `/sessions/${session}/entries`)).json);
    expect(data.find((entry) => entry.kind === 'prompt' && entry.text === 'Also this')).toMatchObject({
      author: 'Ada',
    });
    const entries = (await listAudit(db, 10)).filter(({ action }) => action === 'session.started');
    expect(entries[0]).toMatchObject({ actor: `linear-user:${ada.id}`, workspaceId: acme.id, details: { session } });
  });

  it('is told nothing of an issue of a team that its person does not see, nor of one that is not there', async () => {
    hasIssue('SEC-1', acme.secret.id);
    const hidden = await program.ask('POST', '/sessions', { issue: 'SEC-1' });
    const missing = await program.ask('POST', '/sessions', { issue: 'SEC-2' });
    expect([hidden.status, hidden.text]).toEqual([404, missing.text]);
    expect(missing.json).toMatchObject({ code: 'no_such_issue' });
    const elsewhere = await program.ask('POST', '/sessions', { issue: 'SEC-1', workspace: crypto.randomUUID() });
    expect(elsewhere.json).toMatchObject({ status: 404, code: 'no_such_workspace' });
  });

  it('starts nothing on an archived issue, and hears when Linear does not answer', async () => {
    hasIssue('ENG-8', acme.open.id, { archivedAt: '2026-11-01T00:00:00.000Z' });
    expect((await program.ask('POST', '/sessions', { issue: 'ENG-8' })).json).toMatchObject({
      status: 409,
      code: 'issue_gone',
    });
    linear.interfere = () => new Response('', { status: 503 });
    const { status, headers } = await program.ask('POST', '/sessions', { issue: 'ENG-8' });
    expect([status, headers.get('retry-after')]).toEqual([503, '60']);
  });
});

describe('a program that starts a session from a text', () => {
  interface Created {
    id: string;
    teamId: string;
    title: string;
    description: string;
    createAsUser?: string;
  }
  const TEXT = 'Empty the cart after an order.\n\nIt keeps the old lines.';

  /** Linear creates issues, each id once, in these teams. @returns what it was asked to create */
  function createsIssues(teams = [{ ...acme.open, key: 'ENG' }]): Created[] {
    const created = new Map<string, Created>();
    const asked: Created[] = [];
    linear.interfere = (_url, body) => {
      if (!body.includes('query Teams {') && !/mutation CreateIssue|query Issue(Now|Facts)/.test(body)) return null;
      const { query, variables } = JSON.parse(body);
      if (query.includes('query Teams {')) {
        return Response.json({ data: { teams: { nodes: teams.map(({ id, key }) => ({ id, key, name: key })) } } });
      }
      if (query.includes('mutation CreateIssue')) {
        asked.push(variables.input);
        const errors = [{ message: 'conflict on insert of Issue', extensions: { code: 'INPUT_ERROR' } }];
        if (created.has(variables.input.id)) return Response.json({ data: null, errors });
        created.set(variables.input.id, variables.input);
        return Response.json({ data: { issueCreate: { success: true } } });
      }
      const { id, title = '', description = '', teamId = '' } = created.get(variables.id) ?? {};
      const issue = {
        ...{ id, identifier: 'ENG-41', title, url: 'https://linear.app/acme/issue/ENG-41', description },
        ...{ archivedAt: null, trashed: false, state: { type: 'unstarted' }, labels: { nodes: [] } },
        ...{ team: { id: teamId, key: 'ENG', name: 'Engineering' }, branchName: null, project: null },
      };
      return Response.json({ data: { issue } });
    };
    return asked;
  }

  beforeEach(() =>
    upsertRepository(db, acme.id, 'acme/shop', { cloneUrl: 'https://git.test/acme/shop.git', baseBranch: 'main' }, 1),
  );

  it('has an issue created in its person’s name, with the text and the repository, and the session on it', async () => {
    const created = createsIssues();
    const { status, json, text } = await program.ask('POST', '/sessions', { text: TEXT, repository: 'Acme/Shop' });
    expect(status, text).toBe(202);
    expect(created).toEqual([
      {
        ...{ id: expect.stringMatching(UUID_V4), teamId: acme.open.id, title: 'Empty the cart after an order' },
        ...{ description: `${TEXT}\n\n[repo=acme/shop]`, createAsUser: 'Ada' },
      },
    ]);
    const { session, issue } = startedSchema.parse(json);
    expect(issue).toBe('ENG-41');
    expect((await program.ask('GET', `/sessions/${session}`)).json).toMatchObject({
      issue: { identifier: 'ENG-41', title: 'Empty the cart after an order' },
    });
  });

  it('gets one issue and one session for a repeat, also if it broke off before it was answered', async () => {
    const created = createsIssues();
    const start = () =>
      program.ask(
        'POST',
        '/sessions',
        { text: TEXT, repository: 'acme/shop', title: 'Cart' },
        { 'idempotency-key': 'k' },
      );
    const first = startedSchema.parse((await start()).json);
    await env.DB.prepare('update api_answers set status = null, retried_at = created_at - 61000').run();
    expect(startedSchema.parse((await start()).json)).toEqual(first);
    expect(new Set(created.map(({ id }) => id)).size).toBe(1);
    expect(created[0]?.title).toBe('Cart');
  });

  it.each([
    ['Linear created the issue and its answer was lost', 'mutation CreateIssue'],
    ['Linear created the issue and then did not say what it holds', 'query IssueNow'],
  ])('gets one issue for a repeat after a 503, as often as it comes, if %s', async (_case, lost) => {
    const created = createsIssues();
    const { interfere } = linear;
    const start = () =>
      program.ask('POST', '/sessions', { text: TEXT, repository: 'acme/shop' }, { 'idempotency-key': 'lost' });
    linear.interfere = (url, body, request) => {
      const answer = interfere(url, body, request);
      return body.includes(lost) ? new Response('', { status: 503 }) : answer;
    };
    expect((await start()).status).toBe(503);
    // Not even as far as the time before.
    linear.interfere = () => new Response('', { status: 503 });
    expect((await start()).status).toBe(503);
    linear.interfere = interfere;
    expect((await start()).status).toBe(202);
    expect(new Set(created.map(({ id }) => id)).size).toBe(1);
  });

  it('says in which team, of those that its person sees', async () => {
    const more = { id: crypto.randomUUID(), workspaceId: acme.id, visibility: 'public' } as const;
    linear.teams.push(more);
    ada.teams = [acme.open.id, more.id];
    program = new Program((await tokenOf(await signedIn(linear, ada), 'write')).token);
    const created = createsIssues([
      { ...acme.open, key: 'ENG' },
      { ...more, key: 'OPS' },
      { ...acme.secret, key: 'SEC' },
    ]);
    const body = { text: TEXT, repository: 'acme/shop' };
    const { json } = await program.ask('POST', '/sessions', body);
    expect(json).toMatchObject({ status: 400, code: 'team_needed', detail: expect.stringContaining('ENG, OPS.') });
    expect((await program.ask('POST', '/sessions', { ...body, team: 'SEC' })).json).toMatchObject({
      ...{ status: 404, code: 'no_such_team' },
    });
    expect(created).toEqual([]);
    expect((await program.ask('POST', '/sessions', { ...body, team: 'ops' })).status).toBe(202);
    expect(created).toMatchObject([{ teamId: more.id }]);
  });

  it('creates nothing for a repository that is not there, for a text that names another one, nor for who looks on', async () => {
    const created = createsIssues();
    const start = (body: object) => program.ask('POST', '/sessions', { text: TEXT, repository: 'acme/shop', ...body });
    expect((await start({ repository: 'acme/else' })).json).toMatchObject({
      ...{ status: 404, code: 'no_such_repository', detail: expect.stringContaining('acme/shop') },
    });
    for (const text of ['Fix it [repo=acme/site]', 'Fix it <!-- as I said']) {
      expect((await start({ text })).json).toMatchObject({ status: 400, errors: [{ pointer: '/text' }] });
    }
    await writeWorkspaceSettings(db, acme.id, { ...defaultWorkspaceSettings, viewers: ['ben@acme.example'] }, 1);
    const ben = person(linear, acme, 'Ben', { teams: [acme.open.id] });
    const onlooker = new Program((await tokenOf(await signedIn(linear, ben), 'write')).token);
    const { status } = await onlooker.ask('POST', '/sessions', { text: TEXT, repository: 'acme/shop' });
    expect(status).toBe(403);
    expect(created).toEqual([]);
  });

  it.each([
    [{}, '/text'],
    [{ text: 'Do it' }, '/repository'],
    [{ issue: 'ENG-1', repository: 'acme/shop' }, '/repository'],
    [{ issue: 'ENG-1', title: 'T' }, '/title'],
    [{ issue: 'ENG-1', team: 'ENG' }, '/team'],
  ])('is told what %o lacks or has too much', async (body, pointer) => {
    const { json } = await program.ask('POST', '/sessions', body);
    expect(json).toMatchObject({ status: 400, errors: [{ in: 'body', pointer }] });
  });

  it('hears why Linear creates no issue', async () => {
    createsIssues();
    const { interfere } = linear;
    linear.interfere = (url, body, request) => {
      if (!body.includes('mutation CreateIssue')) return interfere(url, body, request);
      const extensions = { type: 'invalid input', code: 'INPUT_ERROR', userPresentableMessage: 'The team is full.' };
      return Response.json({ data: null, errors: [{ message: 'Argument Validation Error', extensions }] });
    };
    const { json } = await program.ask('POST', '/sessions', { text: TEXT, repository: 'acme/shop' });
    expect(json).toMatchObject({
      status: 409,
      code: 'issue_refused',
      detail: expect.stringContaining('The team is full.'),
    });
  });
});

describe('a change with an Idempotency-Key', () => {
  const key = (value: string) => ({ 'idempotency-key': value });

  it('is made once, and a repeat within a day is answered the same', async () => {
    const id = await sessionOf(acme, acme.open, 'Once');
    const prompt = () => program.ask('POST', `/sessions/${id}/prompts`, { text: 'Once only' }, key('a'));
    const [first, second] = [await prompt(), await prompt()];
    expect([first.status, second.status, second.text]).toEqual([202, 202, first.text]);
    expect([first, second].map(({ headers }) => headers.get('idempotency-replayed'))).toEqual([null, 'true']);
    const said = async () =>
      entriesSchema
        .parse((await program.ask('GET', `/sessions/${id}/entries`)).json)
        .data.filter((entry) => entry.kind === 'prompt' && entry.text === 'Once only').length;
    expect(await said()).toBe(1);
    // The Worker ended between the change and its answer: what was asked is known to the session all the same.
    await env.DB.prepare('update api_answers set status = null, retried_at = created_at - 61000').run();
    expect(takenSchema.parse((await prompt()).json).outcome).toBe('duplicate');
    expect(await said()).toBe(1);
  });

  it('is refused with 422 for another request, with 409 while the first is not answered, and free again after a refusal', async () => {
    const id = await sessionOf(acme, acme.open, 'Keys');
    const path = `/sessions/${id}/prompts`;
    await program.ask('POST', path, { text: 'One' }, key('b'));
    expect((await program.ask('POST', path, { text: 'Two' }, key('b'))).json).toMatchObject({
      status: 422,
      code: 'key_reused',
    });
    await env.DB.prepare('update api_answers set status = null').run();
    expect((await program.ask('POST', path, { text: 'One' }, key('b'))).json).toMatchObject({
      status: 409,
      code: 'in_progress',
    });
    const closed = { question: 'none', text: 'Yes' };
    expect((await program.ask('POST', `/sessions/${id}/answers`, closed, key('c'))).json).toMatchObject({
      code: 'question_closed',
    });
    expect((await program.ask('POST', path, { text: 'Three' }, key('c'))).status).toBe(202);
    expect((await program.ask('POST', path, { text: 'Four' }, key('a b'))).status).toBe(400);
  });

  it('is another one for another token, and for the same after a day', async () => {
    const id = await sessionOf(acme, acme.open, 'A day');
    const other = new Program((await tokenOf(browser, 'write')).token);
    const path = `/sessions/${id}/prompts`;
    expect((await program.ask('POST', path, { text: 'One' }, key('d'))).status).toBe(202);
    expect((await other.ask('POST', path, { text: 'Two' }, key('d'))).status).toBe(202);
    vi.useFakeTimers({ now: Date.now() + 25 * 3_600_000, toFake: ['Date'] });
    const later = await program.ask('POST', path, { text: 'Three' }, key('d'));
    expect(later.headers.get('idempotency-replayed')).toBeNull();
    expect(takenSchema.parse(later.json).outcome).toBe('accepted');
    const { data } = entriesSchema.parse((await program.ask('GET', `/sessions/${id}/entries`)).json);
    const said = data.flatMap((entry) => (entry.kind === 'prompt' ? [entry.text] : []));
    expect(said.slice(-3)).toEqual(['One', 'Two', 'Three']);
  });

  it('that broke off is done by its repeat at once, and by no other request under the key', async () => {
    const id = await sessionOf(acme, acme.open, 'Broken off');
    const path = `/sessions/${id}/prompts`;
    const first = takenSchema.parse((await program.ask('POST', path, { text: 'One' }, key('e'))).json);
    await env.DB.prepare('update api_answers set status = null').run();
    await leaveKey(db, { tokenId: await tokenIdOf(program), key: 'e' });
    expect((await program.ask('POST', path, { text: 'Two' }, key('e'))).json).toMatchObject({ code: 'key_reused' });
    const again = takenSchema.parse((await program.ask('POST', path, { text: 'One' }, key('e'))).json);
    expect(again).toEqual({ request: first.request, outcome: 'duplicate' });
  });
});

describe('settings and usage', () => {
  it('of a workspace are its admins’ to read and to change, with their name in the audit log', async () => {
    const path = `/workspaces/${acme.id}/settings`;
    const settings = { viewers: ['guests'], sessionsAtOnce: 3 };
    const { status, json } = await program.ask('PUT', path, settings);
    expect([status, json]).toMatchObject([200, { ...settings, allowedUsers: [] }]);
    expect((await program.ask('GET', path)).json).toEqual(json);
    expect((await program.ask('PUT', path, { alowedUsers: [] })).status).toBe(400);
    const [entry] = (await listAudit(db, 100)).filter(({ workspaceId }) => workspaceId === acme.id);
    expect(entry).toMatchObject({ action: 'workspace.settings-changed', actor: `linear-user:${ada.id}` });
    expect((await program.ask('GET', '/workspaces/another/settings')).status).toBe(404);
  });

  it('of a workspace let its admins have no more sessions at once than an owner of the deployment allows', async () => {
    const path = `/workspaces/${acme.id}/settings`;
    const { status, json } = await program.ask('PUT', path, { sessionsAtOnce: 900 });
    expect([status, json]).toMatchObject([403, { code: 'owners_only', errors: [{ pointer: '/sessionsAtOnce' }] }]);
    expect(json).toMatchObject({ detail: expect.stringContaining('At most 10 sessions') });
    await writeWorkspaceSettings(db, acme.id, { ...defaultWorkspaceSettings, sessionsAtOnce: 40 }, Date.now());
    expect((await program.ask('PUT', path, { sessionsAtOnce: 41 })).status).toBe(403);
    expect((await program.ask('PUT', path, { sessionsAtOnce: 40 })).status).toBe(200);
  });

  it('of the deployment are its owners’', async () => {
    const owners = { SIGN_IN: 'linear', OWNERS: ada.id };
    const { bindingsOf } = await import('./support/people.ts');
    const owner = new Program(
      (await tokenOf(await signedIn(linear, ada, bindingsOf(owners)), 'admin')).token,
      bindingsOf(owners),
    );
    expect((await owner.ask('PUT', '/settings/PAUSED', { value: true })).json).toMatchObject({
      name: 'PAUSED',
      value: 'true',
      from: 'deployment',
    });
    expect((await owner.ask('PUT', '/settings/PAUSED', { value: 'perhaps' })).status).toBe(400);
    expect((await owner.ask('PUT', `/settings/CLAUDE_PLAN?workspace=${acme.id}`, { value: 'max' })).status).toBe(400);
    expect((await owner.ask('DELETE', '/settings/PAUSED')).status).toBe(200);
    expect((await owner.ask('DELETE', '/settings/PAUSED')).json).toMatchObject({ status: 404, code: 'not_set' });
    expect((await owner.ask('GET', '/usage?by=token')).status).toBe(200);
    expect((await owner.ask('GET', '/workspaces/nowhere/usage')).status).toBe(404);
    for (const path of ['/settings', '/usage']) expect((await program.ask('GET', path)).status).toBe(403);
  });

  it('shows the use of one workspace to its admins, and nothing of another’s', async () => {
    const sum = (workspaceId: string, requests: number) => ({
      ...{ day: '2026-11-20', sessionId: workspaceId, model: 'sonnet', token: 'default', workspaceId },
      ...{ repository: 'acme/shop', requests, refused: 0, inputTokens: 1, outputTokens: 1, cacheReadTokens: 0 },
      ...{ cacheCreationTokens: 0, costUsd: 0.5 },
    });
    await addUsage(db, { id: crypto.randomUUID(), sums: [sum(acme.id, 2), sum('globex', 40)] }, Date.now());
    const { json } = await program.ask('GET', `/workspaces/${acme.id}/usage?by=repository&since=2026-11-01`);
    expect(json).toMatchObject({ by: 'repository', data: [{ group: 'acme/shop', requests: 2 }] });
    expect((await program.ask('GET', '/workspaces/globex/usage')).status).toBe(404);
  });
});
