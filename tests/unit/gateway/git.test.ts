import { randomBytes, randomUUID } from 'node:crypto';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Fetch } from '../../../src/gateway/forwarding.ts';
import { forwardToGit } from '../../../src/gateway/git/git.ts';
import type { GitRemote } from '../../../src/gateway/git/host.ts';
import type { Claims } from '../../../src/gateway/token.ts';
import { spyOnLog } from '../../support/log-spy.ts';
import { Random } from '../support/random.ts';
import { type GitBackend, startGitBackend } from './git-backend.ts';
import { runGit } from './real-git.ts';
import { serve, type WebServer } from './web-server.ts';

const PASSWORD = 'real-git-password-0123456789';
const claims: Claims = { s: 'a'.repeat(64), w: 'workspace', r: 'acme/shop', b: 'cyrus/eng-1', g: 1 };
const zero = '0'.repeat(40);
const one = '1'.repeat(40);

const logged = spyOnLog();
beforeEach(() => {
  logged.mockClear();
});

const closedHost: GitRemote = {
  cloneUrl: 'https://git.example/acme/shop.git',
  credential: { username: 'cyrus', password: PASSWORD },
};

describe('with a real git', { timeout: 60_000 }, () => {
  let root: string;
  let host: GitBackend;
  let gateway: WebServer;
  let remote: GitRemote;
  let maxPushBytes: number | undefined;
  let fetcher: Fetch;
  let work: string;
  let own: Map<string, readonly string[]>;
  const confirmed: string[] = [];

  const git = (...args: string[]) => runGit(args, work, root);

  async function refsOfHost(): Promise<string[]> {
    const { output: stdout } = await git('-C', join(root, 'acme/shop.git'), 'for-each-ref', '--format=%(refname)');
    return stdout.trim().split('\n');
  }

  function pushesSeenByHost(): string[] {
    return host.requests
      .map((request) => request.line)
      .filter((line) => line.startsWith('POST') && line.includes('receive'));
  }

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'cyrus-gateway-git-'));
    host = await startGitBackend(root, `cyrus:${PASSWORD}`);
    gateway = await serve((request) =>
      forwardToGit(
        request,
        new URL(request.url).pathname.slice('/git/'.length),
        claims,
        remote,
        fetcher,
        maxPushBytes,
        {
          all: async () => own,
          branch: async () => claims.b,
          confirm: async (tip) => {
            confirmed.push(tip);
          },
          add: async (commits) => {
            for (const [id, parents] of commits) own.set(id, parents);
          },
        },
      ),
    );
    // Each test begins with a copy of these. The first commit gets to the host without the gateway, as people's commits do.
    const bare = join(root, 'first/host');
    work = join(root, 'first/work');
    await mkdir(work, { recursive: true });
    await git('init', '--template=', '--quiet', '--bare', '--initial-branch=main', bare);
    await git('-C', bare, 'config', 'http.receivepack', 'true');
    await git('-C', bare, 'config', 'receive.advertisePushOptions', 'true');
    await git('init', '--template=', '--quiet', '--initial-branch=main', '.');
    await writeFile(join(work, 'README'), 'shop\n');
    await git('add', '.');
    await git('commit', '--quiet', '-m', 'Start');
    await git('push', '--quiet', bare, 'main');
    await git('remote', 'add', 'origin', `${gateway.url}/git/acme/shop.git`);
  });
  afterAll(async () => {
    await gateway.close();
    await host.close();
    await rm(root, { recursive: true, force: true });
  });

  beforeEach(async () => {
    await rm(join(root, 'acme'), { recursive: true, force: true });
    await cp(join(root, 'first/host'), join(root, 'acme/shop.git'), { recursive: true });
    remote = { cloneUrl: `${host.url}/acme/shop.git`, credential: { username: 'cyrus', password: PASSWORD } };
    maxPushBytes = undefined;
    fetcher = fetch;
    own = new Map();
    work = join(root, 'work', randomUUID());
    await cp(join(root, 'first/work'), work, { recursive: true });
    host.requests.length = 0;
  });

  it('a sandbox clones and fetches its repository without ever holding the credential', async () => {
    const cloned = await git('clone', `${gateway.url}/git/acme/shop.git`, 'clone');
    expect(cloned).toMatchObject({ code: 0 });
    expect((await git('-C', 'clone', 'log', '--format=%s')).output).toBe('Start\n');
    expect((await git('-C', 'clone', 'config', '--list')).output).not.toContain(PASSWORD);
    expect(host.requests.every((request) => request.authorization?.startsWith('Basic '))).toBe(true);
  });

  it('protocol version 2 reaches the host', async () => {
    const { output } = await git('-c', 'protocol.version=2', 'ls-remote', 'origin');
    expect(output).toContain('refs/heads/main');
    expect(host.requests.map((request) => request.line)).toContain('POST /acme/shop.git/git-upload-pack');
  });

  it("the session's branch is created, moved and moved by force", async () => {
    expect(await git('push', 'origin', 'HEAD:cyrus/eng-1')).toMatchObject({ code: 0 });
    await git('commit', '--quiet', '--allow-empty', '-m', 'More');
    expect(await git('push', 'origin', 'HEAD:cyrus/eng-1')).toMatchObject({ code: 0 });
    await git('commit', '--quiet', '--amend', '--allow-empty', '-m', 'Otherwise');
    expect(await git('push', '--force', 'origin', 'HEAD:cyrus/eng-1')).toMatchObject({ code: 0 });
    expect(await refsOfHost()).toEqual(['refs/heads/cyrus/eng-1', 'refs/heads/main']);
  });

  describe('commits of other people stay on the branch', () => {
    /** A person's commit on top of the branch, past the gateway. */
    async function personPushes(message: string): Promise<void> {
      await git('clone', '-q', '-b', 'cyrus/eng-1', join(root, 'acme/shop.git'), 'person');
      const person = ['-C', 'person', '-c', 'user.name=P', '-c', 'user.email=p@example.com'];
      await git(...person, 'commit', '--quiet', '--allow-empty', '-m', message);
      await git('-C', 'person', 'push', '--quiet', join(root, 'acme/shop.git'), 'HEAD:cyrus/eng-1');
    }
    const subjects = async () => {
      const { output: stdout } = await git('-C', join(root, 'acme/shop.git'), 'log', '--format=%s', 'cyrus/eng-1');
      return stdout.trim().split('\n');
    };
    const commit = (...args: string[]) => git('commit', '--quiet', '--allow-empty', ...args);

    it('a forced push that would take a person’s commit off the branch is refused, whatever lease it names', async () => {
      await commit('-m', 'C1');
      await git('push', 'origin', 'HEAD:cyrus/eng-1');
      await personPushes('Person');
      await git('fetch', '--quiet', 'origin');
      await commit('-m', 'C2');
      for (const force of ['--force', '--force-with-lease']) {
        const { code, output } = await git('push', force, 'origin', 'HEAD:cyrus/eng-1');
        expect(code).toBe(1);
        expect(output).toContain('take commits off the branch that this session did not make');
      }
      expect(await subjects()).toEqual(['Person', 'C1', 'Start']);
      await git('merge', '--quiet', '--no-edit', 'origin/cyrus/eng-1');
      expect(await git('push', 'origin', 'HEAD:cyrus/eng-1')).toMatchObject({ code: 0 });
      expect(await subjects()).toEqual(expect.arrayContaining(['Person', 'C1', 'C2']));
    });

    it('a person’s commit that the session has merged and pushed is not taken off by rewriting that merge', async () => {
      await commit('-m', 'C1');
      await git('push', 'origin', 'HEAD:cyrus/eng-1');
      await personPushes('Person');
      await commit('-m', 'C2');
      await git('fetch', '--quiet', 'origin');
      await git('merge', '--quiet', '--no-edit', 'origin/cyrus/eng-1');
      expect(await git('push', 'origin', 'HEAD:cyrus/eng-1')).toMatchObject({ code: 0 });
      await git('reset', '--quiet', '--hard', 'HEAD^1');
      expect((await git('push', '--force', 'origin', 'HEAD:cyrus/eng-1')).code).toBe(1);
      expect(await subjects()).toContain('Person');
    });

    it('the session replaces its own commits, also rebased onto a newer base', async () => {
      await commit('-m', 'C1');
      await commit('-m', 'C2');
      await git('push', 'origin', 'HEAD:cyrus/eng-1');
      await git('clone', '-q', join(root, 'acme/shop.git'), 'person');
      await git('-C', 'person', 'commit', '--quiet', '--allow-empty', '-m', 'On main');
      await git('-C', 'person', 'push', '--quiet', join(root, 'acme/shop.git'), 'HEAD:main');
      await git('fetch', '--quiet', 'origin');
      await git('reset', '--quiet', '--hard', 'origin/main');
      await commit('-m', 'C1 again');
      expect(await git('push', '--force', 'origin', 'HEAD:cyrus/eng-1')).toMatchObject({ code: 0 });
      expect(await subjects()).toEqual(['C1 again', 'On main', 'Start']);
      // Back to what the host has already: nothing is in the pack.
      await git('reset', '--quiet', '--hard', 'HEAD^');
      expect(await git('push', '--force', 'origin', 'HEAD:cyrus/eng-1')).toMatchObject({ code: 0 });
    });

    it('a branch that was merged continues from the base: the host tells that nothing is lost', async () => {
      await commit('-m', 'C1');
      await git('push', 'origin', 'HEAD:cyrus/eng-1');
      await personPushes('Person');
      await git('clone', '-q', join(root, 'acme/shop.git'), 'main');
      await git('-C', 'main', 'merge', '--quiet', '--no-ff', '--no-edit', 'origin/cyrus/eng-1');
      await git('-C', 'main', 'push', '--quiet', join(root, 'acme/shop.git'), 'HEAD:main');
      await git('fetch', '--quiet', 'origin');
      await git('reset', '--quiet', '--hard', 'origin/main');
      await commit('-m', 'C2');
      expect(await git('push', 'origin', 'HEAD:cyrus/eng-1')).toMatchObject({ code: 0 });
      expect(await subjects()).toEqual(expect.arrayContaining(['Person', 'C1', 'C2']));
    });

    it('many commits, written as differences to each other, are read', async () => {
      await git('push', 'origin', 'HEAD:cyrus/eng-1');
      for (let n = 0; n < 40; n++)
        await commit('-m', `Commit ${n}\n\n${'The same long text in each of them. '.repeat(40)}`);
      expect(await git('push', 'origin', 'HEAD:cyrus/eng-1')).toMatchObject({ code: 0 });
      expect(own.size).toBe(40);
      expect(confirmed.at(-1)).toBe((await git('rev-parse', 'HEAD')).output.trim());
    });
  });

  it.each([
    ['another branch', ['HEAD:main'], 'HEAD -> main'],
    ['a tag', ['HEAD:refs/tags/v1'], 'HEAD -> v1'],
    ['a branch whose name begins alike', ['HEAD:cyrus/eng-10'], 'HEAD -> cyrus/eng-10'],
    ['a note', ['HEAD:refs/notes/commits'], 'HEAD -> refs/notes/commits'],
    ['a review ref', ['HEAD:refs/for/main'], 'HEAD -> refs/for/main'],
  ])('a push to %s is refused with words git prints, and the host never sees it', async (_what, refspecs, arrow) => {
    await git('commit', '--quiet', '--allow-empty', '-m', 'More');
    const { code, output } = await git('push', 'origin', ...refspecs);
    expect(code).toBe(1);
    expect(output).toContain('! [remote rejected]');
    expect(output).toContain(`${arrow} (Cyrus: this session may push only cyrus/eng-1)`);
    expect(output).toContain('remote: Cyrus: this session may push only cyrus/eng-1');
    expect(pushesSeenByHost()).toEqual([]);
  });

  it('one forbidden ref refuses the whole push', async () => {
    await git('commit', '--quiet', '--allow-empty', '-m', 'More');
    const { code, output } = await git('push', 'origin', 'HEAD:cyrus/eng-1', 'HEAD:main');
    expect(code).toBe(1);
    expect(output).toMatch(/HEAD -> main \(Cyrus: this session may push only cyrus\/eng-1\)/);
    expect(output).toMatch(/HEAD -> cyrus\/eng-1 \(Cyrus: nothing was pushed/);
    expect(pushesSeenByHost()).toEqual([]);
  });

  it('the branch is not deleted', async () => {
    await git('push', 'origin', 'HEAD:cyrus/eng-1');
    host.requests.length = 0;
    const { code, output } = await git('push', 'origin', ':cyrus/eng-1');
    expect(code).toBe(1);
    expect(output).toContain('(Cyrus: this session may not delete its branch)');
    expect(pushesSeenByHost()).toEqual([]);
    expect(await refsOfHost()).toContain('refs/heads/cyrus/eng-1');
  });

  it('push options are refused, for they can order a host to merge', async () => {
    const { code, output } = await git('push', '-o', 'merge_request.create', 'origin', 'HEAD:cyrus/eng-1');
    expect(code).toBe(1);
    expect(output).toContain('push without --push-option');
    expect(pushesSeenByHost()).toEqual([]);
  });

  it('a large push, which git probes first and then sends in chunks, arrives whole', async () => {
    await writeFile(join(work, 'large.bin'), randomBytes(6 * 1024 * 1024));
    await git('add', '.');
    await git('commit', '--quiet', '-m', 'Large');
    expect(await git('push', 'origin', 'HEAD:cyrus/eng-1')).toMatchObject({ code: 0 });
    expect(host.requests.at(-1)?.bytes).toBeGreaterThan(6 * 1024 * 1024);
  });

  it('a push over the size limit is refused with words git prints, and changes nothing on the host', async () => {
    maxPushBytes = 2 * 1024 * 1024;
    await writeFile(join(work, 'large.bin'), randomBytes(4 * 1024 * 1024 - 10_000));
    await git('add', '.');
    await git('commit', '--quiet', '-m', 'Large');
    const chunked = await git('push', 'origin', 'HEAD:cyrus/eng-1');
    expect(chunked.code).toBe(1);
    expect(chunked.output).toContain('(Cyrus: a push may have at most 2 MiB)');
    // With a buffer this large git announces the length instead: the host is not even asked.
    host.requests.length = 0;
    const announced = await git('-c', 'http.postBuffer=16777216', 'push', 'origin', 'HEAD:cyrus/eng-1');
    expect(announced.output).toContain('(Cyrus: a push may have at most 2 MiB)');
    expect(pushesSeenByHost()).toEqual([]);
    expect(await refsOfHost()).toEqual(['refs/heads/main']);
  });

  it('a push over the size limit is refused with a message also if the host has begun its answer by then', async () => {
    maxPushBytes = 96 * 1024 * 1024;
    // Written without compression: git only copies.
    await git('config', 'core.compression', '0');
    await writeFile(join(work, 'large.bin'), randomBytes(maxPushBytes));
    await git('add', '.');
    await git('commit', '--quiet', '-m', 'Large');
    const { code, output } = await git('push', 'origin', 'HEAD:cyrus/eng-1');
    expect(code).toBe(1);
    expect(output).toContain('(Cyrus: a push may have at most 96 MiB)');
    expect(await refsOfHost()).toEqual(['refs/heads/main']);
  });

  it('a push from a shallow clone works', async () => {
    await git('clone', '--quiet', '--depth=1', `${gateway.url}/git/acme/shop.git`, 'shallow');
    await git('-C', 'shallow', 'commit', '--quiet', '--allow-empty', '-m', 'More');
    expect(await git('-C', 'shallow', 'push', 'origin', 'HEAD:cyrus/eng-1')).toMatchObject({ code: 0 });
  });

  it('a credential the host does not accept is said in words, without it and without a password prompt', async () => {
    remote = { ...remote, credential: { username: 'cyrus', password: 'an-old-password-of-git' } };
    const { code, output } = await git('fetch', 'origin');
    expect(code).not.toBe(0);
    expect(output).toContain('remote: Cyrus: the git host does not accept the credential stored for acme/shop');
    expect(output).not.toContain('an-old-password-of-git');
    expect(output).not.toMatch(/Username|terminal prompts/);
  });

  it('a host that fails during a push is named in what git prints', async () => {
    fetcher = async (request) => {
      if (request.method === 'GET') return fetch(request);
      await request.arrayBuffer();
      return new Response('maintenance', { status: 503, headers: { 'content-type': 'text/plain' } });
    };
    const { code, output } = await git('push', 'origin', 'HEAD:cyrus/eng-1');
    expect(code).toBe(1);
    expect(output).toContain('(Cyrus: the git host answered 503; try again later: maintenance)');
  });

  it('a host that breaks off in the middle of its report is named, for what became of the push is not known', async () => {
    fetcher = async (request) => {
      if (request.method === 'GET') return fetch(request);
      await request.arrayBuffer();
      const body = new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode('0030'));
          controller.error(new Error('reset'));
        },
      });
      return new Response(body, { headers: { 'content-type': 'application/x-git-receive-pack-result' } });
    };
    const { code, output } = await git('push', 'origin', 'HEAD:cyrus/eng-1');
    expect(code).toBe(1);
    expect(output).toContain('closed the connection before it reported the result of the push: fetch, then push again');
  });

  it("what the host itself refuses is told in the host's words", async () => {
    await mkdir(join(root, 'acme/shop.git/hooks'));
    await writeFile(join(root, 'acme/shop.git/hooks/pre-receive'), '#!/bin/sh\necho no pushes on Fridays\nexit 1\n', {
      mode: 0o755,
    });
    const { code, output } = await git('push', 'origin', 'HEAD:cyrus/eng-1');
    expect(code).toBe(1);
    expect(output).toContain('remote: no pushes on Fridays');
    expect(output).toContain('(pre-receive hook declined)');
  });

  it("another repository's address is refused", async () => {
    const { code, output } = await git('ls-remote', `${gateway.url}/git/acme/secrets.git`);
    expect(code).not.toBe(0);
    expect(output).toContain('remote: Cyrus: this session may use the repository acme/shop only');
    expect(host.requests).toEqual([]);
  });
});

/** Calls the gateway's function as a hostile client would, with a host that must not be reached. */
async function call(
  subpath: string,
  init: { method?: string; body?: Uint8Array<ArrayBuffer> | string; headers?: Record<string, string> } = {},
  by: Claims = claims,
  answer: Fetch = async () => new Response('ok'),
): Promise<{ status: number; text: string; reached: boolean }> {
  let reached = false;
  const request = new Request(`http://gateway.internal/git/${subpath}`, init);
  const response = await forwardToGit(request, subpath.split('?')[0] ?? '', by, closedHost, async (outgoing) => {
    reached = true;
    return answer(outgoing);
  });
  return { status: response.status, text: await response.text(), reached };
}

const pkt = (text: string) => `${(Buffer.byteLength(text) + 4).toString(16).padStart(4, '0')}${text}`;
const pushHeaders = { 'content-type': 'application/x-git-receive-pack-request' };
const push = (
  body: Uint8Array<ArrayBuffer> | string,
  headers: Record<string, string> = {},
  by: Claims = claims,
  answer: Fetch = async () => new Response('ok'),
) =>
  call('acme/shop.git/git-receive-pack', { method: 'POST', body, headers: { ...pushHeaders, ...headers } }, by, answer);

describe('hostile requests', () => {
  it.each([
    'acme/shop.git/HEAD',
    'acme/shop.git/objects/info/packs',
    'acme/shop.git/info/lfs/objects/batch',
    'acme/shop.git/info/refs',
    'acme/shop.git/info/refs?service=git-upload-pack&x=1',
    'acme/shop.git/info/refs?service=git-upload-archive',
    'acme/shop.git/git-upload-archive',
    'acme/shop.git/../secrets.git/info/refs?service=git-upload-pack',
    'acme/shop.git%2f..%2fsecrets.git/info/refs?service=git-upload-pack',
    'acme/shop.git//info/refs?service=git-upload-pack',
    'ACME/shop.git/info/refs?service=git-upload-pack',
    'acme/shop/info/refs?service=git-upload-pack',
    '/acme/shop.git/info/refs?service=git-upload-pack',
    '',
  ])('%s does not reach the host', async (subpath) => {
    const { status, reached } = await call(subpath);
    expect([403, 404, 405]).toContain(status);
    expect(reached).toBe(false);
  });

  const caps = '\0 report-status side-band-64k agent=git/2';
  const allowed = `${zero} ${one} refs/heads/cyrus/eng-1`;

  it.each([
    ['nothing', ''],
    ['an end within a packet', pkt(`${allowed}${caps}`).slice(0, 30)],
    ['no flush', pkt(`${allowed}${caps}`)],
    ['a delimiter instead of a flush', `${pkt(`${allowed}${caps}`)}0001${pkt(`${zero} ${one} refs/heads/main`)}0000`],
    ['a length that is none', 'zzzzPACK'],
    ['a length of three', '0003'],
    ['a second NUL', `${pkt(`${allowed}${caps}\0x`)}0000`],
    ['a NUL in a later command', `${pkt(`${allowed}${caps}`)}${pkt(`${allowed}\0 x`)}0000`],
    ['a short id', `${pkt(`${zero} 1111 refs/heads/cyrus/eng-1${caps}`)}0000`],
    [
      'a ref that is not UTF-8',
      Buffer.concat([Buffer.from(`00b3${zero} ${one} refs/heads/`), Buffer.from([0xff, 0xfe])]),
    ],
  ])('a push with %s is refused as malformed and does not reach the host', async (_what, body) => {
    const { status, reached } = await push(typeof body === 'string' ? body : new Uint8Array(body));
    expect(status).toBe(400);
    expect(reached).toBe(false);
  });

  it.each([
    ['a line feed after the branch', `${zero} ${one} refs/heads/cyrus/eng-1\n\n`],
    ['a byte order mark', `${zero} ${one} \u{feff}refs/heads/cyrus/eng-1`],
    ['a space after the branch', `${zero} ${one} refs/heads/cyrus/eng-1 `],
    ['another case', `${zero} ${one} refs/heads/Cyrus/ENG-1`],
    ['dots', `${zero} ${one} refs/heads/cyrus/../cyrus/eng-1`],
    ['no refs/heads', `${zero} ${one} cyrus/eng-1`],
    ['HEAD', `${zero} ${one} HEAD`],
  ])('a push whose ref has %s is refused', async (_what, line) => {
    const { status, text, reached } = await push(`${pkt(`${line}${caps}`)}0000PACK`);
    expect(status).toBe(200);
    expect(text).toContain('Cyrus: this session may push only cyrus/eng-1');
    expect(reached).toBe(false);
  });

  it('a forbidden ref hidden behind gzip, behind shallow lines or behind thousands of allowed commands is found', async () => {
    const forbidden = pkt(`${zero} ${one} refs/heads/main`);
    const first = pkt(`${allowed}${caps}`);
    const zipped = await push(new Uint8Array(gzipSync(`${first}${forbidden}0000PACK`)), { 'content-encoding': 'gzip' });
    expect(zipped).toMatchObject({ status: 200, reached: false });
    const shallow = await push(`${pkt(`shallow ${one}`)}${first}${pkt(`shallow ${one}`)}${forbidden}0000PACK`);
    expect(shallow).toMatchObject({ status: 200, reached: false });
    const many = await push(`${first}${pkt(allowed).repeat(3_000)}${forbidden}0000PACK`);
    expect(many).toMatchObject({ status: 200, reached: false });
    const endless = await push(`${first}${pkt(allowed).repeat(30_000)}0000PACK`);
    expect(endless).toMatchObject({ status: 400, reached: false });
  });

  it.each([
    ['behind a tab', 'report-status\tpush-options'],
    ['behind a line feed', 'report-status\npush-options'],
    ['behind a carriage return', 'report-status\rpush-options'],
    ['with a value', 'report-status push-options=1'],
    ['alone', 'push-options'],
  ])('push options are found %s', async (_where, capabilities) => {
    const { reached } = await push(`${pkt(`${allowed}\0${capabilities}`)}0000PACK`);
    expect(reached).toBe(false);
  });

  it('a capability that the gateway does not know is refused by name', async () => {
    const { text, reached } = await push(`${pkt(`${allowed}\0report-status side-band-64k merge-it=now`)}0000PACK`);
    expect(reached).toBe(false);
    expect(text).toContain('the capability merge-it=now is not known');
  });

  it('a session that only looks pushes nothing, not even to its own branch', async () => {
    const { text, reached } = await push(`${pkt(`${allowed}${caps}`)}0000PACK`, {}, { ...claims, ro: true });
    expect(reached).toBe(false);
    expect(text).toContain('is read-only');
  });

  it('what reaches the host is written by the gateway: a thousand mutated pushes move the one branch or nothing', async () => {
    const random = new Random(11);
    const original = Buffer.from(`${pkt(`${allowed}${caps}`)}${pkt(`shallow ${one}`)}0000PACK`);
    const alphabet = [...Buffer.from('0123456789abcdef \t\n\r\0/=-push-options refs/heads/main')];
    let passed = 0;
    for (let round = 0; round < 1_000; round += 1) {
      const bytes = [...original];
      for (let change = 0; change <= random.below(3); change += 1) {
        bytes.splice(
          random.below(bytes.length),
          random.below(2),
          ...(random.chance(0.7) ? [random.pick(alphabet)] : []),
        );
      }
      let forwarded = '';
      const body = Uint8Array.from(bytes);
      await push(body, {}, claims, async (request) => {
        forwarded = Buffer.from(await request.arrayBuffer()).toString('latin1');
        return new Response('000eunpack ok\n0000');
      });
      if (forwarded === '') continue;
      passed += 1;
      expect(forwarded).toMatch(
        /^([0-9a-f]{4}shallow [0-9a-f]{40}([0-9a-f]{24})?)*[0-9a-f]{4}[0-9a-f]{40,64} [0-9a-f]{40,64} refs\/heads\/cyrus\/eng-1\0 (report-status|side-band-64k|side-band|agent=[!-~]*| )*0000/,
      );
    }
    expect(passed).toBeGreaterThan(20);
  });

  it('an encoding that cannot be read is refused', async () => {
    expect(await push('x', { 'content-encoding': 'br' })).toMatchObject({ status: 415, reached: false });
    expect(await push('x', { 'content-encoding': 'gzip, gzip' })).toMatchObject({ status: 415, reached: false });
    expect(await push('not gzip', { 'content-encoding': 'gzip' })).toMatchObject({ status: 400, reached: false });
  });

  it('a signed push is refused', async () => {
    const body = `${pkt(`push-cert\0report-status side-band-64k`)}${pkt('certificate version 0.1\n')}${pkt(`${allowed}\n`)}${pkt('push-cert-end\n')}0000`;
    const { text, reached } = await push(body);
    expect(text).toContain('signed pushes are not accepted');
    expect(reached).toBe(false);
  });

  it('a client that wants no report gets a status it cannot take for success', async () => {
    expect(await push(`${pkt(`${zero} ${one} refs/heads/main\0agent=x`)}0000`)).toMatchObject({
      status: 403,
      reached: false,
    });
  });

  it('without a side band the report comes bare', async () => {
    const { text } = await push(`${pkt(`${zero} ${one} refs/heads/main\0report-status`)}0000`);
    expect(text).toBe(
      `${pkt('unpack ok\n')}${pkt('ng refs/heads/main Cyrus: this session may push only cyrus/eng-1\n')}0000`,
    );
  });

  it('chunks of one byte are read like any other', async () => {
    const bytes = new TextEncoder().encode(`${pkt(`${allowed}${caps}`)}0000PACK and more`);
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
        controller.close();
      },
    });
    const init: RequestInit & { duplex: 'half' } = { method: 'POST', body, headers: pushHeaders, duplex: 'half' };
    const request = new Request('http://gateway.internal/git/acme/shop.git/git-receive-pack', init);
    let arrived = new Uint8Array();
    await forwardToGit(request, 'acme/shop.git/git-receive-pack', claims, closedHost, async (upstream) => {
      arrived = new Uint8Array(await upstream.arrayBuffer());
      return new Response('ok');
    });
    expect(arrived).toEqual(bytes);
  });
});

describe('what the host answers', () => {
  const secret = Buffer.from(`cyrus:${PASSWORD}`).toString('base64');
  const ask = async (answer: Response | Error) => {
    const request = new Request('http://gateway.internal/x?service=git-upload-pack', {
      headers: { authorization: 'Bearer cyrus_st_session', cookie: 'a=b', 'git-protocol': 'version=2' },
    });
    let sent: Request | undefined;
    const response = await forwardToGit(request, 'acme/shop.git/info/refs', claims, closedHost, async (upstream) => {
      sent = upstream;
      if (answer instanceof Error) throw answer;
      return answer;
    });
    return { response, text: await response.text(), sent };
  };

  it("gets the credential of the repository, never the sandbox's token or cookies", async () => {
    const { sent } = await ask(new Response('refs'));
    expect(sent?.headers.get('authorization')).toBe(`Basic ${secret}`);
    expect(sent?.headers.get('cookie')).toBeNull();
    expect(sent?.headers.get('git-protocol')).toBe('version=2');
    expect(sent?.redirect).toBe('manual');
  });

  it.each([
    [
      '500 with an echo',
      new Response(`you sent Basic ${secret} (${PASSWORD})`, {
        status: 500,
        headers: { 'content-type': 'text/plain' },
      }),
      502,
    ],
    [
      '401',
      new Response(secret, {
        status: 401,
        headers: { 'www-authenticate': `Basic realm="${secret}"`, 'content-type': 'text/plain' },
      }),
      403,
    ],
    ['403', new Response(`${PASSWORD}`, { status: 403, headers: { 'content-type': 'text/plain' } }), 403],
    ['404', new Response('Not here', { status: 404 }), 404],
    [
      'a redirect to itself elsewhere',
      new Response(null, {
        status: 301,
        headers: { location: `https://cyrus:${PASSWORD}@evil.example/acme/shop.git/info/refs?token=${secret}` },
      }),
      502,
    ],
    ['a broken connection', new Error(`connect to https://cyrus:${PASSWORD}@git.example failed`), 502],
  ])('%s becomes a sentence, and the credential stays out of it and of the log', async (_what, answer, status) => {
    const { response, text } = await ask(answer);
    expect(response.status).toBe(status);
    expect(text).toMatch(/^Cyrus: .+\n$/);
    for (const out of [text, JSON.stringify([...response.headers]), JSON.stringify(logged.mock.calls)]) {
      expect(out).not.toContain(secret);
      expect(out).not.toContain(PASSWORD);
    }
  });

  it('a moved repository is named with its new address', async () => {
    const location = 'https://git.example/acme/store.git/info/refs?service=git-upload-pack';
    const { text } = await ask(new Response(null, { status: 301, headers: { location } }));
    expect(text).toContain(
      'is at https://git.example/acme/store.git: ask an admin to change its clone address in Cyrus',
    );
  });
});
