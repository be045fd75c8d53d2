import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FetchRequestReader } from '../../../src/gateway/git/fetch-request.ts';
import { forwardToGit } from '../../../src/gateway/git/git.ts';
import { forwardToSubmodule } from '../../../src/gateway/git/submodules.ts';
import type { Claims } from '../../../src/gateway/token.ts';
import { spyOnLog } from '../../support/log-spy.ts';
import { type GitBackend, startGitBackend } from './git-backend.ts';
import { runGit } from './real-git.ts';
import { serve, type WebServer } from './web-server.ts';

const run = promisify(execFile);
const claims: Claims = { s: 'a'.repeat(64), w: 'workspace', r: 'acme/shop', b: 'cyrus/eng-1', g: 1 };
const id = '1'.repeat(40);
const pkt = (text: string) => `${(Buffer.byteLength(text, 'latin1') + 4).toString(16).padStart(4, '0')}${text}`;

const logged = spyOnLog();

/** Sends a body as a hostile client would. @returns what the host has of it, null: nothing whole */
async function send(
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = { 'git-protocol': 'version=2' },
): Promise<{ status: number; text: string; host: string | null; protocol: string | null }> {
  let host: string | null = null;
  let protocol: string | null = null;
  const request = new Request('http://gateway.internal/git/acme/shop.git/git-upload-pack', {
    method: 'POST',
    body: typeof body === 'string' ? Buffer.from(body, 'latin1') : body,
    headers: { 'content-type': 'application/x-git-upload-pack-request', ...headers },
  });
  const remote = { cloneUrl: 'https://git.example/acme/shop.git', credential: null };
  const response = await forwardToGit(
    request,
    'acme/shop.git/git-upload-pack',
    claims,
    remote,
    async (outgoing: Request) => {
      protocol = outgoing.headers.get('git-protocol');
      host = Buffer.from(await outgoing.arrayBuffer()).toString('latin1');
      return new Response('the host answers');
    },
  );
  return { status: response.status, text: await response.text(), host, protocol };
}

describe('a fetch', () => {
  const v2 = (command: string, capabilities: string[], lines: string[]) =>
    `${[`command=${command}`, ...capabilities].map((line) => pkt(`${line}\n`)).join('')}0001${lines.map((line) => pkt(`${line}\n`)).join('')}0000`;

  it('reaches the host as it was read', async () => {
    const listed = v2('ls-refs', ['agent=git/2.39.5', 'object-format=sha1'], ['peel', 'symrefs', 'ref-prefix HEAD']);
    expect((await send(listed)).host).toBe(listed);
    const fetched = v2(
      'fetch',
      ['agent=git/2.39.5', 'session-id=a-b'],
      ['thin-pack', 'include-tag', 'ofs-delta', 'deepen 1', 'filter blob:none', `want ${id}`, `have ${id}`, 'done'],
    );
    expect((await send(fetched)).host).toBe(fetched);
    expect(
      (await send(new Uint8Array(gzipSync(fetched)), { 'git-protocol': 'version=2', 'content-encoding': 'gzip' })).host,
    ).toBe(fetched);
    const earlier = `${pkt(`want ${id} multi_ack_detailed side-band-64k thin-pack agent=git/2\n`)}${pkt(`want ${id}\n`)}${pkt(`deepen 1\n`)}0000${pkt(`have ${id}\n`)}0000${pkt('done\n')}`;
    expect((await send(earlier, {})).host).toBe(earlier);
    expect((await send('0000', {})).host).toBe('0000');
    expect((await send('0000')).host).toBe('0000');
    // Lines without a line feed are written as git writes them.
    expect((await send(`${pkt('command=ls-refs')}00010000`)).host).toBe(`${pkt('command=ls-refs\n')}00010000`);
  });

  it.each([
    ['an option for the server', v2('fetch', ['server-option=merge'], [`want ${id}`, 'done'])],
    ['an option for the server behind a tab', v2('fetch', ['agent=git\tserver-option=merge'], ['done'])],
    ['an option for the server behind a line feed', v2('fetch', ['agent=git\nserver-option=merge'], ['done'])],
    ['an option for the server among the arguments', v2('fetch', [], ['server-option=merge'])],
    ['another command', v2('object-info', [], ['size', `oid ${id}`])],
    ['a command that names bundles elsewhere', v2('bundle-uri', [], [])],
    ['packs by address', v2('fetch', [], ['packfile-uris https,http', `want ${id}`, 'done'])],
    ['an unknown hash', v2('fetch', ['object-format=md5'], ['done'])],
    ['an argument of another command', v2('ls-refs', [], [`want ${id}`])],
    ['a NUL in a name', v2('ls-refs', [], ['ref-prefix refs/heads/\0x'])],
    ['a short id', v2('fetch', [], ['want 1111'])],
    ['an id in capitals', v2('fetch', [], [`want ${'A'.repeat(40)}`])],
    ['a negative depth', v2('fetch', [], ['deepen -1'])],
    ['two commands', `${v2('ls-refs', [], []).slice(0, -4)}${v2('fetch', [], ['done'])}`],
    ['a second request behind the first', `${v2('ls-refs', [], [])}${v2('object-info', [], [])}`],
    ['a command without its packet', 'command=fetch'],
    ['a flush before the request', `0000${v2('fetch', [], ['done'])}`],
    ['a length of two', `0002${v2('fetch', [], ['done'])}`],
    ['no flush', v2('fetch', [], ['done']).slice(0, -4)],
    ['half a packet', `${v2('ls-refs', [], [])}00`],
    ['nothing', ''],
    ['a version before in one that says version 2', `${pkt(`want ${id} ofs-delta\n`)}0000${pkt('done\n')}`],
  ])('with %s does not reach the host, and git prints why', async (_what, body) => {
    const { status, text, host } = await send(body);
    expect(host).toBeNull();
    expect([status, text]).toEqual([200, expect.stringMatching(/^[0-9a-f]{4}ERR Cyrus: .+/)]);
  });

  it.each([
    ['an unknown capability', `${pkt(`want ${id} side-band-64k run-it=1\n`)}0000${pkt('done\n')}`],
    ['capabilities on a later want', `${pkt(`want ${id} ofs-delta\n`)}${pkt(`want ${id} run-it\n`)}0000`],
    ['a command of version 2', v2('fetch', [], ['done'])],
    ['a delimiter', `${pkt(`want ${id}\n`)}0001`],
  ])('of a version before 2 with %s does not reach the host', async (_what, body) => {
    for (const headers of [{}, { 'git-protocol': 'version=1' }, { 'git-protocol': 'version=2:version=0' }]) {
      expect((await send(body, headers as Record<string, string>)).host).toBeNull();
    }
  });

  it('tells the host the version of the protocol and nothing else in that header', async () => {
    expect((await send(v2('ls-refs', [], []))).protocol).toBe('version=2');
    for (const odd of ['version=2:server-option=x', 'server-option=x', 'version=3', 'VERSION=2']) {
      expect((await send('0000', { 'git-protocol': odd })).protocol).toBeNull();
    }
  });

  it('of a submodule is read as well', async () => {
    const request = new Request('http://gateway.internal/modules/eA/git-upload-pack', {
      method: 'POST',
      body: v2('fetch', ['server-option=x'], ['done']),
      headers: { 'content-type': 'application/x-git-upload-pack-request', 'git-protocol': 'version=2' },
    });
    const remote = { cloneUrl: 'https://git.example/acme/part.git', credential: null };
    const response = await forwardToSubmodule(request, 'git-upload-pack', claims, remote, async (outgoing) => {
      await outgoing.arrayBuffer();
      return new Response('the host answers');
    });
    expect(await response.text()).toContain('ERR Cyrus: the capability');
  });

  it('is read alike however it is cut into pieces, and is bounded', () => {
    const body = Buffer.from(v2('fetch', ['agent=git/2'], [`want ${id}`, `have ${id}`, 'done']), 'latin1');
    const reader = new FetchRequestReader(2);
    const written = [...body].map((byte) => Buffer.from(reader.take(Uint8Array.of(byte))));
    reader.end();
    expect(Buffer.concat(written)).toEqual(body);
    const endless = new FetchRequestReader(0);
    const haves = Buffer.from(pkt(`have ${id}\n`).repeat(20_000));
    expect(() => {
      for (let round = 0; round < 40; round += 1) endless.take(haves);
    }).toThrow('at most 32 MiB');
  });

  it('costs as much in long packets as in short ones, byte by byte', () => {
    const timeOf = (line: string, count: number) => {
      const bytes = Buffer.from(`${pkt('command=fetch\n')}${pkt(line).repeat(count)}`, 'latin1');
      const reader = new FetchRequestReader(2);
      const since = performance.now();
      for (let at = 0; at < bytes.length; at += 1) reader.take(bytes.subarray(at, at + 1));
      return performance.now() - since;
    };
    timeOf('agent=git/2\n', 1_000);
    const short = timeOf('agent=git/2\n', 32_500);
    const long = timeOf(`agent=${'x'.repeat(65_000)}\n`, 8);
    expect(long).toBeLessThan(4 * short + 200);
  });
});

describe('a fetch by a real git', { timeout: 60_000 }, () => {
  let root: string;
  let host: GitBackend;
  let gateway: WebServer;
  /** Requests that consist of a flush alone. */
  let probes = 0;

  const git = async (...args: string[]): Promise<string> => (await runGit(args, root, root)).output;

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'cyrus-fetch-'));
    host = await startGitBackend(root, 'cyrus:password');
    const remote = { cloneUrl: `${host.url}/acme/shop.git`, credential: { username: 'cyrus', password: 'password' } };
    gateway = await serve((request) => {
      if (request.headers.get('content-length') === '4') probes += 1;
      return forwardToGit(request, new URL(request.url).pathname.slice('/git/'.length), claims, remote, fetch);
    });
    const bare = join(root, 'acme/shop.git');
    await git('init', '--quiet', '--bare', '--initial-branch=main', bare);
    for (const setting of [
      'uploadpack.allowFilter',
      'uploadpack.allowAnySHA1InWant',
      'uploadpack.advertiseBundleURIs',
    ]) {
      await git('-C', bare, 'config', setting, 'true');
    }
    await git('init', '--quiet', '--initial-branch=main', 'work');
    for (const nth of [1, 2, 3]) {
      await writeFile(join(root, 'work/file'), `${nth}\n`);
      await git('-C', 'work', 'add', '.');
      await git('-C', 'work', 'commit', '--quiet', '-m', `Commit ${nth}`);
    }
    await git('-C', 'work', 'tag', '-a', 'v1', '-m', 'One');
    await git('-C', 'work', 'push', '--quiet', bare, 'main', 'v1');
  });
  afterAll(async () => {
    await gateway.close();
    await host.close();
    await rm(root, { recursive: true, force: true });
  });

  it.each(['0', '1', '2'])(
    'works in version %s of the protocol: whole, shallow, deepened, filtered, by an id',
    async (version) => {
      const url = `${gateway.url}/git/acme/shop.git`;
      const ask = (...args: string[]) => git('-c', `protocol.version=${version}`, ...args);
      const log = async (folder: string) =>
        (await git('-C', folder, 'log', '--format=%s', 'FETCH_HEAD')).trim().split('\n');
      expect(await ask('ls-remote', url)).toContain('refs/tags/v1^{}');
      await ask('clone', '--quiet', url, `whole-${version}`);
      expect(await git('-C', `whole-${version}`, 'tag')).toBe('v1\n');
      await ask('clone', '--quiet', '--depth=1', url, `shallow-${version}`);
      await ask('-C', `shallow-${version}`, 'fetch', '--quiet', 'origin', 'main');
      expect(await log(`shallow-${version}`)).toEqual(['Commit 3']);
      await ask('-C', `shallow-${version}`, 'fetch', '--quiet', '--deepen=1', 'origin', 'main');
      expect(await log(`shallow-${version}`)).toEqual(['Commit 3', 'Commit 2']);
      await ask('-C', `shallow-${version}`, 'fetch', '--quiet', '--unshallow', 'origin', 'main');
      expect(await log(`shallow-${version}`)).toEqual(['Commit 3', 'Commit 2', 'Commit 1']);
      await ask('clone', '--quiet', '--bare', '--filter=blob:none', url, `filtered-${version}`);
      expect(await git('-C', `filtered-${version}`, 'rev-list', '--objects', '--all', '--missing=print')).toContain(
        '?',
      );
      await ask('-C', `filtered-${version}`, 'cat-file', '-p', 'main:file');
      const tip = (await git('-C', 'work', 'rev-parse', 'main')).trim();
      await ask('init', '--quiet', `by-id-${version}`);
      await ask('-C', `by-id-${version}`, 'fetch', '--quiet', '--shallow-since=2000-01-01', url, tip);
      expect(await log(`by-id-${version}`)).toHaveLength(3);
    },
  );

  it('may ask whether it is let in before it sends a large request', async () => {
    const commits = Array.from(
      { length: 4_000 },
      (_, at) => `commit refs/heads/own\ncommitter C <c@example.com> ${at + 1} +0000\ndata 1\nx\n`,
    );
    await writeFile(join(root, 'many'), commits.join(''));
    await git('init', '--quiet', 'large');
    await run('sh', ['-c', 'git -C large fast-import --quiet <many'], { cwd: root });
    logged.mockClear();
    const said = await git(
      ...['-c', 'protocol.version=2', '-c', 'http.postBuffer=65536', '-C', 'large'],
      ...['fetch', '--quiet', `${gateway.url}/git/acme/shop.git`, 'main'],
    );
    expect([said, (await git('-C', 'large', 'log', '-1', '--format=%s', 'FETCH_HEAD')).trim()]).toEqual([
      '',
      'Commit 3',
    ]);
    expect(probes).toBeGreaterThan(0);
    expect(JSON.stringify(logged.mock.calls)).not.toContain('git_fetch.refused');
  });

  it('is refused, in git’s own output, if it gives the server an option', async () => {
    const url = `${gateway.url}/git/acme/shop.git`;
    const said = await git('-c', 'protocol.version=2', 'ls-remote', '--server-option=deploy', url);
    expect(said).toContain('remote error: Cyrus: the capability "server-option=deploy" is not known to Cyrus');
  });
});
