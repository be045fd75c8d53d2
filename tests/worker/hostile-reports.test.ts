/** A sandbox that lies: whatever it reports or stores, the session can be read afterwards, and nothing of it grows without bound. */
import { env, exports } from 'cloudflare:workers';
import { Hono } from 'hono';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { type Claims, mintToken } from '../../src/gateway/token.ts';
import { gatewayApp } from '../../src/routes/gateway/index.ts';
import { renderLog } from '../../src/session/effects/log-document.ts';
import { getPatch } from '../../src/store/logs.ts';
import { spyOnLog } from '../support/log-spy.ts';
import { created, newThread, ORGANIZATION, send, type Thread } from './support/linear-webhook.ts';
import { BOOT_ID, Outside, STREAM_ID } from './support/outside.ts';
import { page, registerWorkspace, session } from './support/sessions.ts';

spyOnLog();

const app = new Hono<{ Bindings: Env }>().route('/gateway', gatewayApp({ base: '/gateway' }));
let outside: Outside;

beforeEach(async () => {
  outside = new Outside();
  await registerWorkspace();
});

async function begun(): Promise<Thread> {
  const thread = newThread();
  await send(created(thread));
  await vi.waitFor(() => expect(outside.commands.some(({ type }) => type === 'prompt')).toBe(true), {
    timeout: 60_000,
  });
  return thread;
}

async function ask(thread: Thread, path: string, init: RequestInit<RequestInitCfProperties>): Promise<Response> {
  const claims: Claims = { s: session(thread).id.toString(), w: ORGANIZATION, r: 'acme/shop', b: 'cyrus/eng-7', g: 1 };
  const token = await mintToken({ encryptionKey: env.ENCRYPTION_KEY }, claims);
  const headers = { authorization: `Bearer ${token}`, ...(init.headers as Record<string, string>) };
  return app.request(`http://cyrus.test/gateway${path}`, { ...init, headers }, env);
}

function post(thread: Thread, events: unknown, more: object = {}): Promise<Response> {
  const body = JSON.stringify({ protocol: 3, generation: 1, bootId: BOOT_ID, streamId: STREAM_ID, events, ...more });
  return ask(thread, '/events', { method: 'POST', body });
}

const EVENTS: Record<string, unknown>[] = [
  { type: 'step', step: 'mirror', status: 'done', detail: 'x', durationMs: 1, waitsFor: 'x' },
  { type: 'ready', branch: 'cyrus/eng-7', baseCommit: 'a', worktree: '/w', resumed: false },
  { type: 'line', line: '{"type":"assistant"}', goesOn: true },
  { type: 'stderr', text: 'x' },
  { type: 'setup-output', text: 'x' },
  { type: 'cli-started', pid: 1, resumed: false },
  { type: 'notice', text: 'x' },
  {
    type: 'saved',
    turn: 1,
    after: 0,
    branch: 'b',
    head: 'a',
    commits: [{ sha: 'a', subject: 'x' }],
    files: [{ path: 'a', additions: 1, deletions: 1 }],
    newCommits: 1,
    pushed: true,
    patchBytes: 1,
    shared: [],
    problem: 'x',
  },
  { type: 'unreadable', of: 'x', raw: 'x', why: 'x' },
  {
    type: 'cli-exited',
    code: 1,
    signal: 'x',
    duringTurn: false,
    cause: 'idle',
    turn: 1,
    prompts: { read: ['x'], unread: [] },
    background: ['x'],
  },
  { type: 'work-ended' },
  { type: 'failed', step: 'setup', message: 'x', hint: 'x' },
];

/** As deep as a batch may be with it; what is nested deeper is no batch (lib/parse-json.ts). */
const deep = JSON.parse(`${'['.repeat(480)}${']'.repeat(480)}`) as unknown;
const HOSTILE: unknown[] = [
  ...[-1, 0.5, 1e308, 8.64e15 + 1, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER + 1, Number.MAX_SAFE_INTEGER * 4],
  ...['', '../../x', 'a\0b\n\u202e', '__proto__', 'constructor', '\ud800', 'x'.repeat(100_000), '<script>'],
  ...[null, true, [], {}, deep, ['x'], Array.from({ length: 2_000 }, () => 'x'), JSON.parse('{"__proto__":{"x":1}}')],
];

it('every event with every hostile value is taken or refused with a message, and page, log, archive and list can be read then', async () => {
  const thread = await begun();
  let seq = 0;
  for (const event of EVENTS) {
    const forged = [...Object.keys(event), 'at'].flatMap((field) =>
      HOSTILE.map((value) => ({ at: Date.now(), ...event, [field]: value })),
    );
    for (let from = 0; from < forged.length; from += 40) {
      const events = forged.slice(from, from + 40).map((one, index) => ({ ...one, seq: seq + 1 + index }));
      const response = await post(thread, events);
      expect(response.status).toBeLessThan(500);
      if (response.status === 200) seq = (await response.json<{ stored: number }>()).stored;
    }
    for (const value of HOSTILE)
      expect((await post(thread, [{ ...event, at: 1, seq: value }])).status).toBeLessThan(500);
  }
  expect(seq).toBeGreaterThan(1_000);
  for (const value of HOSTILE) {
    for (const field of ['events', 'generation', 'bootId', 'streamId', 'protocol']) {
      expect((await post(thread, [], { [field]: value })).status).toBeLessThan(500);
    }
  }
  const shown = await page(thread);
  const entries = shown?.entries ?? [];
  for (const { at } of entries) {
    expect(new Date(at).toISOString()).toMatch(/^20/);
    expect(at).toBeLessThan(Date.now() + 2 * 86_400_000);
  }
  expect(JSON.stringify(entries).length).toBeLessThan(30_000_000);
  expect(renderLog({ identifier: null, title: 'T', repository: null, branch: null, turn: 1 }, entries)).toContain(
    'turn 1',
  );
  for (const path of ['/api/sessions', `/api/sessions/${session(thread).id.toString()}`]) {
    expect((await exports.default.fetch(`http://cyrus.test${path}`)).status).toBeLessThan(500);
  }
}, 240_000);

it('every place where a sandbox stores something answers hostile names and bodies with a refusal, never a failure', async () => {
  const thread = await begun();
  const names = [
    '',
    '..',
    '%2e%2e',
    '%00',
    'x'.repeat(3_000),
    '__proto__',
    '%ff',
    'a%2Fb',
    '1e9',
    '-1',
    'a'.repeat(40),
    'f'.repeat(64),
  ];
  const places = ['/patch/N', '/checkpoint/N', '/shared/N', '/cache/N', '/cache/N/N/N', '/checkpoint'];
  for (const place of places) {
    for (const name of names) {
      for (const body of ['x', '{"version":1e400}', `${'['.repeat(5_000)}${']'.repeat(5_000)}`]) {
        const headers = { 'content-length': String(body.length) };
        const response = await ask(thread, place.replaceAll('N', name), { method: 'PUT', body, headers });
        expect(response.status, `${place} ${name}`).toBeLessThan(500);
      }
    }
  }
}, 240_000);

describe('a patch', () => {
  const put = (thread: Thread, head: string, content: string) =>
    ask(thread, `/patch/${head}`, {
      method: 'PUT',
      body: content,
      headers: { 'content-length': String(content.length) },
    });
  const kept = async (thread: Thread, head: string) => {
    const patch = await getPatch(env.LOGS, session(thread).id.toString(), head);
    return patch && (await new Response(patch.body).text());
  };
  const [first, second, third] = ['a'.repeat(40), 'b'.repeat(40), 'c'.repeat(64)] as const;

  it('of an earlier head stays as people were shown it: only that of the present head is stored', async () => {
    const thread = await begun();
    await session(thread).noteTip(first);
    expect((await put(thread, first, 'one')).status).toBe(201);
    expect((await put(thread, first, 'won')).status).toBe(201);
    await session(thread).noteTip(second);
    expect((await put(thread, second, 'two')).status).toBe(201);
    const refused = await put(thread, first, 'forged');
    expect([refused.status, await refused.text()]).toEqual([409, expect.stringContaining('stays as it is')]);
    expect(await kept(thread, first)).toBe('won');
  });

  it('of what the host has not is one a turn: another head takes its place', async () => {
    const thread = await begun();
    await session(thread).noteTip(first);
    await put(thread, first, 'one');
    for (const head of [second, third, 'd'.repeat(40)]) expect((await put(thread, head, 'x')).status).toBe(201);
    expect(await kept(thread, first)).toBe('one');
    expect(await kept(thread, second)).toBeNull();
    expect(await kept(thread, third)).toBeNull();
    expect(await kept(thread, 'd'.repeat(40))).toBe('x');
  });
});

describe('what a session may bring in within an hour', () => {
  it('is bounded for what is stored, over all of its sandboxes, and the refusal says which limit, which setting and until when', async () => {
    const thread = await begun();
    const hour = 3_600_000;
    const clock = vi.spyOn(Date, 'now').mockReturnValue(Math.floor(Date.now() / hour) * hour + hour / 2);
    const most = 4_096 * 1024 ** 2;
    expect(await session(thread).takeBytes(most - 10)).toBeNull();
    const head = 'a'.repeat(40);
    const put = (content: string) =>
      ask(thread, `/patch/${head}`, {
        method: 'PUT',
        body: content,
        headers: { 'content-length': String(content.length) },
      });
    expect((await put('12345')).status).toBe(201);
    const refused = await put('1234567');
    expect(refused.status).toBe(413);
    const { message } = await refused.json<{ message: string }>();
    expect(message).toMatch(/4096 MiB.*continue at \d\d:00 UTC.*SESSION_MIB_AN_HOUR/);
    // What is there is as it was, and a smaller one still fits.
    expect((await put('123')).status).toBe(201);
    clock.mockRestore();
  });
});
