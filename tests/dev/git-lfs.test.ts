/** Git LFS at the git host: the genuine client where it is installed (`.ci/run` installs it), and the API by itself. */
import { execFile, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { gitEnvironment } from '../../dev/git/git-command.ts';
import { type GitHost, startGitHost } from '../../dev/git/git-host.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

const run = promisify(execFile);
const hasGitLfs = spawnSync('git', ['lfs', 'version']).status === 0;
const basic = { authorization: `Basic ${Buffer.from('cyrus:secret').toString('base64')}` };
const author = { name: 'T', email: 't@example' };

let directory: string;
let host: GitHost;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'git-lfs-'));
  host = await startGitHost({
    root: join(directory, 'repositories'),
    username: 'cyrus',
    password: 'secret',
    admits: (password, _fullName, writes) => password === 'reader' && !writes,
  });
  const files = { '.gitattributes': '*.bin filter=lfs diff=lfs merge=lfs -text\n' };
  const commits = [{ message: 'Begin', author, at: 1_780_000_000, files }];
  await host.ensureRepository('acme/large', { branch: 'main', commits });
});

afterAll(async () => {
  await host.close();
  await rm(directory, { recursive: true, force: true });
});

interface Action {
  href: string;
  header: Record<string, string>;
}
interface Answer {
  oid: string;
  actions?: Record<string, Action>;
  error?: { code: number; message: string };
}

function lfs(resource: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`${host.url}/acme/large.git/info/lfs/${resource}`, init);
}

async function batch(operation: string, content: Buffer, headers: Record<string, string> = basic): Promise<Answer> {
  const objects = [{ oid: oidOf(content), size: content.length }];
  const answer = await lfs('objects/batch', { method: 'POST', headers, body: JSON.stringify({ operation, objects }) });
  expect(answer.status).toBe(200);
  const { objects: found } = (await answer.json()) as { objects: [Answer] };
  return found[0];
}

function oidOf(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

function actionOf(answer: Answer, name: string): Action {
  const action = answer.actions?.[name];
  if (!action) throw new Error(`no action ${name}: ${JSON.stringify(answer)}`);
  return action;
}

describe('the batch API', () => {
  test('gives addresses for one object and one operation, which need no other credential', async () => {
    const content = randomBytes(10_000);
    const oid = oidOf(content);
    expect(await batch('download', content)).toMatchObject({ error: { code: 404 } });
    const offered = await batch('upload', content);
    const upload = actionOf(offered, 'upload');
    const other = await fetch(upload.href, { method: 'PUT', headers: upload.header, body: randomBytes(10_000) });
    expect(other.status).toBe(422);
    const wrongObject = upload.href.replace(oid, 'a'.repeat(64));
    expect((await fetch(wrongObject, { method: 'PUT', headers: upload.header, body: content })).status).toBe(403);
    expect((await fetch(upload.href, { method: 'PUT', body: content })).status).toBe(403);
    expect((await fetch(upload.href, { method: 'PUT', headers: upload.header, body: content })).status).toBe(200);
    const verify = actionOf(offered, 'verify');
    const verified = await fetch(verify.href, {
      method: 'POST',
      headers: verify.header,
      body: JSON.stringify({ oid, size: content.length }),
    });
    expect(verified.status).toBe(200);
    // What is there needs no upload.
    expect((await batch('upload', content)).actions).toBeUndefined();
    const download = actionOf(await batch('download', content), 'download');
    const stored = await fetch(download.href, { headers: download.header });
    expect(Buffer.from(await stored.arrayBuffer()).equals(content)).toBe(true);
  });

  test('asks for a credential, and for one that may push if something is to be uploaded', async () => {
    const body = JSON.stringify({ operation: 'upload', objects: [] });
    const unknown = await lfs('objects/batch', { method: 'POST', body });
    expect([unknown.status, unknown.headers.get('lfs-authenticate')]).toEqual([401, 'Basic realm="git host"']);
    const reader = { authorization: `Basic ${Buffer.from('x:reader').toString('base64')}` };
    expect((await lfs('objects/batch', { method: 'POST', body, headers: reader })).status).toBe(403);
    expect(await batch('download', Buffer.from('x'), reader)).toMatchObject({ error: { code: 404 } });
  });

  test('refuses what cannot be an object, each by itself, and what is no request', async () => {
    const objects = [
      { oid: '../../etc', size: 1 },
      { oid: 'a'.repeat(64), size: 3 * 1024 ** 3 },
    ];
    const body = JSON.stringify({ operation: 'upload', objects });
    const answer = await lfs('objects/batch', { method: 'POST', headers: basic, body });
    const { objects: found } = (await answer.json()) as { objects: Answer[] };
    expect(found.map(({ error }) => error?.code)).toEqual([422, 422]);
    expect(found[1]?.error?.message).toContain('less than or equal to 2147483648');
    expect((await lfs('objects/batch', { method: 'POST', headers: basic, body: '{' })).status).toBe(422);
    expect((await lfs('locks/verify', { method: 'POST', headers: basic, body: '{}' })).status).toBe(200);
    expect((await lfs('else', { headers: basic })).status).toBe(404);
  });
});

describe.runIf(hasGitLfs)('the genuine client', () => {
  async function client(args: string[], cwd: string): Promise<string> {
    const person = { GIT_AUTHOR_NAME: 'T', GIT_AUTHOR_EMAIL: 't@example', GIT_COMMITTER_NAME: 'T' };
    const environment = gitEnvironment({ ...person, GIT_COMMITTER_EMAIL: 't@example', HOME: directory }, [
      ['filter.lfs.process', 'git-lfs filter-process'],
      ['filter.lfs.required', 'true'],
      [`http.${host.url}/.extraHeader`, `Authorization: ${basic.authorization}`],
    ]);
    const { stdout } = await run('git', args, { cwd, env: environment });
    return stdout;
  }

  test('pushes objects before their pointers, and a clone has the content', async () => {
    const [one, two] = [join(directory, 'one'), join(directory, 'two')];
    await client(['clone', '--quiet', host.cloneUrl('acme/large'), one], directory);
    const content = randomBytes(300_000);
    await writeFile(join(one, 'a.bin'), content);
    await writeFile(join(one, 'empty.bin'), '');
    await client(['add', '.'], one);
    await client(['commit', '--quiet', '-m', 'Large'], one);
    expect(await client(['cat-file', 'blob', 'HEAD:a.bin'], one)).toContain(`oid sha256:${oidOf(content)}`);
    // Without the objects the host refuses the pointers.
    await expect(client(['push', 'origin', 'HEAD:main'], one)).rejects.toThrow(/GH008/);
    await client(['lfs', 'push', 'origin', 'HEAD'], one);
    await client(['push', '--quiet', 'origin', 'HEAD:main'], one);
    await client(['clone', '--quiet', host.cloneUrl('acme/large'), two], directory);
    expect((await readFile(join(two, 'a.bin'))).equals(content)).toBe(true);
  });
});
