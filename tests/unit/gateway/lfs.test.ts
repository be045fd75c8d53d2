/** Git LFS through the gateway: the genuine client where it is installed, and what a sandbox that does not behave gets. */
import { execFile, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type GitHost, startGitHost } from '../../../dev/git/git-host.ts';
import type { Fetch } from '../../../src/gateway/forwarding.ts';
import { forwardToGit } from '../../../src/gateway/git/git.ts';
import type { GitRemote } from '../../../src/gateway/git/host.ts';
import { forwardToLfs } from '../../../src/gateway/git/lfs.ts';
import { isStorageAddress } from '../../../src/gateway/git/lfs-address.ts';
import { askForLocks } from '../../../src/gateway/git/lfs-batch.ts';
import { SecretSearch } from '../../../src/gateway/secrets/secret-search.ts';
import type { Claims } from '../../../src/gateway/token.ts';
import type { EgressLine } from '../../../src/protocol/egress-log.ts';
import { spyOnLog } from '../../support/log-spy.ts';
import { serve, type WebServer } from './web-server.ts';

const run = promisify(execFile);
const hasGitLfs = spawnSync('git', ['lfs', 'version']).status === 0;
const PASSWORD = 'real-git-password-0123456789';
const TOKEN = 'session-token';
const DECOY = 'decoy-0123456789-abcdefghij';
const keys = { encryptionKey: Buffer.alloc(32, 7).toString('base64') };
const claims: Claims = { s: 'a'.repeat(64), w: 'workspace', r: 'acme/large', b: 'cyrus/eng-1', g: 1 };
const author = { name: 'T', email: 't@example' };

const logged = spyOnLog();

let directory: string;
let host: GitHost;
let gateway: WebServer;
let remote: GitRemote;
/** Who calls, as the gateway knows it. */
let caller: Claims;
let now: number | null;
let lines: EgressLine[];
let caught: string[];
/** Requests of the gateway, and what answers them instead of the host. */
let sent: Request[];
let instead: ((request: Request) => Response | null) | null;

const fetcher: Fetch = async (request) => {
  sent.push(request);
  return instead?.(request) ?? fetch(request);
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gateway-lfs-'));
  host = await startGitHost({ root: join(directory, 'host'), username: 'cyrus', password: PASSWORD });
  const files = { '.gitattributes': '*.bin filter=lfs diff=lfs merge=lfs -text\n' };
  await host.ensureRepository('acme/large', {
    branch: 'main',
    commits: [{ message: 'Begin', author, at: 1_780_000_000, files }],
  });
  gateway = await serve(async (request) => {
    if (!/^Basic /.test(request.headers.get('authorization') ?? '')) {
      return new Response(null, { status: 401, headers: { 'www-authenticate': 'Basic realm="gateway"' } });
    }
    const url = new URL(request.url);
    const path = url.pathname.slice('/git/'.length);
    const lfs = `${claims.r}.git/info/lfs/`;
    if (!path.startsWith(lfs)) return forwardToGit(request, path, caller, remote, fetcher);
    return forwardToLfs(request, {
      resource: path.slice(lfs.length),
      base: `${url.origin}/git/${lfs}`,
      claims: caller,
      remote,
      keys,
      observer: { onLine: (line) => lines.push(line), onSecret: (where) => caught.push(where) },
      secrets: new SecretSearch([{ kind: 'decoy', name: 'DEPLOY_API_KEY', text: DECOY }]),
      fetcher,
      now: () => now ?? Date.now(),
    });
  });
});

beforeEach(() => {
  remote = { cloneUrl: host.cloneUrl('acme/large'), credential: { username: 'cyrus', password: PASSWORD } };
  caller = claims;
  now = null;
  lines = [];
  caught = [];
  sent = [];
  instead = null;
});
afterEach(() => logged.mockClear());

afterAll(async () => {
  await gateway.close();
  await host.close();
  await rm(directory, { recursive: true, force: true });
});

const basic = { authorization: `Basic ${Buffer.from(`session:${TOKEN}`).toString('base64')}` };

/** As fetch does it: what is aborted fails, and so does the body of its answer. */
async function brokenOff({ signal }: Request, answer: Promise<Response>): Promise<Response> {
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error));
  });
  aborted.catch(() => {});
  const { body, status } = await Promise.race([answer, aborted]);
  return new Response(body?.pipeThrough(new TransformStream(), { signal }) ?? null, { status });
}

interface Answered {
  actions?: Record<string, { href: string; header?: unknown; expires_in: number }>;
  error?: { code: number; message: string };
}

function ask(resource: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`${gateway.url}/git/acme/large.git/info/lfs/${resource}`, {
    ...init,
    headers: { ...basic, ...init.headers },
  });
}

async function batch(operation: string, ...contents: Buffer[]): Promise<Answered[]> {
  const objects = contents.map((content) => ({ oid: oidOf(content), size: content.length }));
  const answer = await ask('objects/batch', { method: 'POST', body: JSON.stringify({ operation, objects }) });
  const text = await answer.text();
  expect(answer.status, text).toBe(200);
  // Neither the host's storage, nor what opens it, nor the credential.
  expect(text).not.toMatch(/RemoteAuth|\/storage\//);
  expect(text).not.toContain(host.url);
  return (JSON.parse(text) as { objects: Answered[] }).objects;
}

function oidOf(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

function hrefOf(answered: Answered | undefined, action: string): string {
  const href = answered?.actions?.[action]?.href;
  if (!href) throw new Error(`no ${action}: ${JSON.stringify(answered)}`);
  return href;
}

function put(href: string, body: Buffer | ReadableStream, more: Record<string, string> = {}): Promise<Response> {
  const init: RequestInit & { duplex: 'half' } = {
    method: 'PUT',
    headers: { ...basic, ...more },
    body: body as BodyInit,
    duplex: 'half',
  };
  return fetch(href, init);
}

async function upload(content: Buffer): Promise<void> {
  const [answered] = await batch('upload', content);
  expect((await put(hrefOf(answered, 'upload'), content)).status).toBe(200);
}

describe('objects of the session’s repository', () => {
  it('are uploaded, verified and downloaded with the credential that only the gateway has', async () => {
    const content = randomBytes(200_000);
    const oid = oidOf(content);
    const [offered] = await batch('upload', content);
    expect((await put(hrefOf(offered, 'upload'), content)).status).toBe(200);
    const verified = await fetch(hrefOf(offered, 'verify'), { method: 'POST', headers: basic, body: '{}' });
    expect(verified.status).toBe(200);
    // What is there needs no upload.
    expect((await batch('upload', content))[0]?.actions).toBeUndefined();
    const [found] = await batch('download', content);
    const got = await fetch(hrefOf(found, 'download'), { headers: basic });
    expect(Buffer.from(await got.arrayBuffer()).equals(content)).toBe(true);
    for (const request of sent) expect(request.headers.get('authorization')).not.toContain(TOKEN);
    expect(lines.map(({ method, path, verdict }) => `${method} ${path} ${verdict}`)).toEqual([
      'POST /acme/large.git/info/lfs/objects/batch allowed',
      `PUT /acme/large.git/info/lfs/objects/${oid} allowed`,
      `POST /acme/large.git/info/lfs/objects/${oid} allowed`,
      'POST /acme/large.git/info/lfs/objects/batch allowed',
      'POST /acme/large.git/info/lfs/objects/batch allowed',
      `GET /acme/large.git/info/lfs/objects/${oid} allowed`,
    ]);
    expect(lines.map(({ sent: bytes, received }) => Math.max(bytes, received))[1]).toBe(content.length);
  });

  it('that nobody has are told as such, each by itself', async () => {
    const content = randomBytes(100);
    await upload(content);
    const [there, missing] = await batch('download', content, randomBytes(100));
    expect(there?.error).toBeUndefined();
    expect(missing?.error).toMatchObject({ code: 404, message: 'Object does not exist on the server' });
  });

  it('are only downloaded for a session that only looks', async () => {
    const content = randomBytes(100);
    const [offered] = await batch('upload', content);
    caller = { ...claims, ro: true };
    const objects = [{ oid: oidOf(content), size: content.length }];
    const body = JSON.stringify({ operation: 'upload', objects });
    const refused = await ask('objects/batch', { method: 'POST', body });
    expect(refused.status).toBe(403);
    expect(await refused.text()).toContain('is read-only');
    // An address of before opens nothing either.
    expect((await put(hrefOf(offered, 'upload'), content)).status).toBe(403);
    expect((await batch('download', content))[0]?.error?.code).toBe(404);
  });
});

describe('an address that the gateway gave', () => {
  it('is good for its object, size and operation alone, in its session and life', async () => {
    const content = randomBytes(1_000);
    const href = hrefOf((await batch('upload', content))[0], 'upload');
    const before = sent.length;
    const others = [
      href.replace(oidOf(content), oidOf(randomBytes(3))),
      href.replace('/1000/', '/1001/'),
      href.replace('/upload/', '/verify/'),
      `${href.slice(0, -2)}AA`,
      href.replace(/[^/]+$/, 'v1.x.y.z'),
    ];
    for (const other of others) {
      const method = other.includes('/verify/') ? 'POST' : 'PUT';
      const answer = await fetch(other, { method, headers: basic, body: content });
      expect([other, answer.status]).toEqual([other, 403]);
    }
    for (const other of [{ s: 'b'.repeat(64) }, { g: 2 }, { w: 'another' }]) {
      caller = { ...claims, ...other };
      expect((await put(href, content)).status).toBe(403);
    }
    caller = claims;
    expect((await fetch(href, { headers: basic })).status).toBe(405);
    expect((await put(href, content.subarray(1))).status).toBe(422);
    expect(sent.length).toBe(before);
    expect((await put(href, content)).status).toBe(200);
  });

  it('ends with the host’s own, and after an hour', async () => {
    now = 1_800_000_000_000;
    const answered = (await batch('upload', randomBytes(10)))[0];
    expect(answered?.actions?.upload?.expires_in).toBe(3_600);
    now += 3_600_001;
    const answer = await put(hrefOf(answered, 'upload'), randomBytes(10));
    expect([answer.status, await answer.text()]).toEqual([403, expect.stringContaining('has expired')]);
  });

  it('leads to no address of a private network, whatever the host says', async () => {
    const content = Buffer.from('x');
    for (const href of [
      'http://169.254.169.254/latest',
      'https://10.0.0.1/x',
      'https://metadata.internal/x',
      'https://[fd00::1]/x',
      'http://storage.example/x',
      'https://user:secret@storage.example/x',
      'file:///etc/passwd',
    ]) {
      instead = () => Response.json({ objects: [{ oid: oidOf(content), size: 1, actions: { download: { href } } }] });
      const [answered] = await batch('download', content);
      expect(answered?.error?.message, href).toContain('that Cyrus does not use');
      expect(answered?.actions).toBeUndefined();
    }
    const cloud = 'https://git.example/acme/large.git';
    expect(isStorageAddress('https://media.git.example/x?sig=1', cloud)).toBe(true);
    // A host on this machine is one for development.
    expect(isStorageAddress('http://127.0.0.1:9/x', cloud)).toBe(false);
  });

  it('carries the host’s own credential to no other host, also if a redirect leads there', async () => {
    const content = Buffer.from('far away');
    const elsewhere = 'https://storage.example/one';
    instead = (request) => {
      if (request.url.endsWith('/batch')) {
        const actions = { download: { href: `${host.url}/acme/large.git/info/lfs/objects/x` } };
        return Response.json({ objects: [{ oid: oidOf(content), size: content.length, actions }] });
      }
      if (request.url === elsewhere) return new Response(content);
      return new Response(null, { status: 302, headers: { location: elsewhere } });
    };
    const [answered] = await batch('download', content);
    const got = await fetch(hrefOf(answered, 'download'), { headers: basic });
    expect(await got.text()).toBe('far away');
    const [, own, other] = sent;
    expect(own?.headers.get('authorization')).toMatch(/^Basic /);
    expect([other?.url, other?.headers.get('authorization')]).toEqual([elsewhere, null]);
    expect(sent.every(({ redirect }) => redirect === 'manual')).toBe(true);
  });

  it('gives no more than the object’s size, and breaks off if the content is shorter', async () => {
    const content = Buffer.from('12345678');
    for (const body of ['123456789', '1234']) {
      instead = (request) => {
        if (!request.url.endsWith('/batch')) return new Response(body);
        const actions = { download: { href: 'https://storage.example/one' } };
        return Response.json({ objects: [{ oid: oidOf(content), size: content.length, actions }] });
      };
      const [answered] = await batch('download', content);
      const got = fetch(hrefOf(answered, 'download'), { headers: basic }).then((answer) => answer.text());
      await expect(got, body).rejects.toThrow();
    }
  });
});

describe('what is refused', () => {
  it('is told as JSON with what to do, and never as a question for a credential', async () => {
    const body = JSON.stringify({ operation: 'download', objects: [{ oid: oidOf(Buffer.from('x')), size: 1 }] });
    const answers: [number, Record<string, string>, number, string][] = [
      [401, {}, 403, 'does not accept the credential stored for acme/large'],
      [404, {}, 404, 'the git host has no Git LFS for acme/large'],
      [503, { 'retry-after': '7' }, 503, 'try again later'],
      [
        302,
        { location: 'https://elsewhere.example/acme/large.git' },
        502,
        'ask an admin to change its clone address in Cyrus',
      ],
    ];
    for (const [status, headers, expected, words] of answers) {
      instead = () => new Response(null, { status, headers });
      const answer = await ask('objects/batch', { method: 'POST', body });
      const { message } = (await answer.json()) as { message: string };
      expect([answer.status, message]).toEqual([expected, expect.stringContaining(words)]);
      expect(answer.headers.get('retry-after')).toBe(headers['retry-after'] ?? null);
    }
    instead = () => new Response('<html>', { headers: { 'content-type': 'text/html' } });
    expect((await ask('objects/batch', { method: 'POST', body })).status).toBe(502);
    instead = null;
    expect((await ask('locks', { method: 'POST', body: '{"path":"x"}' })).status).toBe(501);
    expect((await ask('locks/7/unlock', { method: 'POST', body: '{}' })).status).toBe(501);
    expect((await ask('locks/verify')).status).toBe(405);
    expect((await ask('else')).status).toBe(404);
    expect((await ask('objects/batch', { method: 'POST', body: 'x'.repeat(2_000_000) })).status).toBe(422);
    expect((await ask('objects/batch', { method: 'POST', body: '{"operation":"delete","objects":[]}' })).status).toBe(
      422,
    );
  });

  it('is told within a minute that the host does not answer, or begins an answer and never ends it', async () => {
    vi.useFakeTimers();
    try {
      const body = () =>
        new ReadableStream<Uint8Array>({ start: (controller) => controller.enqueue(Uint8Array.of(0x7b)) });
      for (const hangs of [
        () => new Promise<Response>(() => {}),
        async () => new Response(body()),
        async () => new Response(body(), { status: 500 }),
      ]) {
        const asked = askForLocks(claims, remote, (request) => brokenOff(request, hangs()));
        await vi.advanceTimersByTimeAsync(60_000);
        expect(await asked).toMatchObject({ status: 502 });
      }
    } finally {
      vi.useRealTimers();
    }
  });

  it('tells who pushes which files others have locked, on all of the host’s pages, and nobody else', async () => {
    host.lockFile('acme/large', 'a.bin', 'Ada');
    host.lockFile('acme/large', 'b.bin', 'Bob');
    const verify = () => ask('locks/verify', { method: 'POST', body: '{"ref":{"name":"refs/heads/main"}}' });
    expect(await (await verify()).json()).toEqual({
      ours: [],
      theirs: [
        { path: 'a.bin', owner: { name: 'Ada' } },
        { path: 'b.bin', owner: { name: 'Bob' } },
      ],
    });
    expect(sent.filter(({ url }) => url.endsWith('/locks/verify'))).toHaveLength(2);
    caller = { ...claims, ro: true };
    expect((await verify()).status).toBe(403);
    caller = claims;
    // GitHub Enterprise without locks, Gitea, and the like.
    instead = () => new Response(null, { status: 404 });
    expect((await verify()).status).toBe(404);
  });

  it('fails for one object alone if only that object cannot be served', async () => {
    const content = randomBytes(10);
    await upload(content);
    const objects = [
      { oid: '../x', size: 1 },
      { oid: 'a'.repeat(64), size: 3 * 1024 ** 3 },
      { oid: oidOf(content), size: 10 },
    ];
    const answer = await ask('objects/batch', {
      method: 'POST',
      body: JSON.stringify({ operation: 'download', objects }),
    });
    const found = ((await answer.json()) as { objects: Answered[] }).objects;
    expect(found.map(({ error }) => error?.code)).toEqual([422, 422, undefined]);
  });

  it('is an upload that holds the decoy: the session is told of, and the host gets nothing', async () => {
    const content = Buffer.from(`key = ${DECOY}\n`);
    const [answered] = await batch('upload', content);
    const answer = await put(hrefOf(answered, 'upload'), content);
    expect(answer.status).toBe(502);
    expect(caught).toHaveLength(1);
    expect(lines.at(-1)).toMatchObject({ verdict: 'alarm' });
    expect((await batch('download', content))[0]?.error?.code).toBe(404);
  });
});

describe.runIf(hasGitLfs)('the genuine client', () => {
  async function client(args: string[], cwd: string): Promise<string> {
    const settings = [
      ['filter.lfs.process', 'git-lfs filter-process'],
      ['filter.lfs.required', 'true'],
      ['user.name', 'T'],
      ['user.email', 't@example'],
      [`credential.${gateway.url}.helper`, `!f() { echo username=session; echo password=${TOKEN}; }; f`],
    ];
    const more = Object.fromEntries(
      settings.flatMap(([key, value], at) => [
        [`GIT_CONFIG_KEY_${at}`, key],
        [`GIT_CONFIG_VALUE_${at}`, value],
      ]),
    );
    const env = {
      PATH: process.env.PATH,
      HOME: directory,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_TERMINAL_PROMPT: '0',
      GIT_CONFIG_COUNT: String(settings.length),
      ...more,
    };
    const { stdout } = await run('git', args, { cwd, env });
    return stdout;
  }

  it('pushes objects before pointers and smudges a clone, and sees no credential of the host', async () => {
    const [one, two] = [join(directory, 'one'), join(directory, 'two')];
    const url = `${gateway.url}/git/acme/large.git`;
    await client(['clone', '--quiet', url, one], directory);
    await client(['switch', '--quiet', '-c', 'cyrus/eng-1'], one);
    const contents = [randomBytes(1_000_000), randomBytes(30_000)];
    for (const [at, content] of contents.entries()) await writeFile(join(one, `${at}.bin`), content);
    await client(['add', '.'], one);
    await client(['commit', '--quiet', '-m', 'Large'], one);
    await client(['lfs', 'push', 'origin', 'HEAD'], one);
    await client(['push', '--quiet', 'origin', 'HEAD'], one);
    await client(['clone', '--quiet', '--branch', 'cyrus/eng-1', url, two], directory);
    for (const [at, content] of contents.entries()) {
      expect((await readFile(join(two, `${at}.bin`))).equals(content)).toBe(true);
    }
  });
});
