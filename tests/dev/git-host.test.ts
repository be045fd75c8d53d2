import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { GitMissingError, gitEnvironment } from '../../dev/git/git-command.ts';
import { type GitHost, RepositoryNameError, startGitHost } from '../../dev/git/git-host.ts';
import { SAMPLE_REPOSITORY, sampleRepository } from '../../dev/git/sample-repository.ts';

const run = promisify(execFile);

let directory: string;
let host: GitHost;

// Real processes on a busy machine.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'git-host-'));
  host = await startGitHost({ root: join(directory, 'repositories'), username: 'cyrus', password: 'p:ss wörd' });
  await host.ensureRepository(SAMPLE_REPOSITORY, await sampleRepository());
});

afterAll(async () => {
  await host.close();
  await rm(directory, { recursive: true, force: true });
});

/** git as a client of the host, with an author and no configuration of this machine. */
async function git(args: string[], cwd = directory, credential = 'cyrus:p:ss wörd'): Promise<string> {
  const person = { GIT_AUTHOR_NAME: 'T', GIT_AUTHOR_EMAIL: 't@example', GIT_COMMITTER_NAME: 'T' };
  const header = `http.extraHeader=Authorization: Basic ${Buffer.from(credential).toString('base64')}`;
  const environment = gitEnvironment({ ...person, GIT_COMMITTER_EMAIL: 't@example', HOME: directory });
  const { stdout } = await run('git', ['-c', header, ...args], { cwd, env: environment, maxBuffer: 1e8 });
  return stdout;
}

/** A raw request, because `fetch` and `URL` would tidy up the path before it is sent. */
function rawGet(path: string, headers: Record<string, string> = {}): Promise<{ status: number; body: string }> {
  const { hostname, port } = new URL(host.url);
  return new Promise((resolve, reject) => {
    request({ hostname, port, path, headers }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    })
      .on('error', reject)
      .end();
  });
}

const basic = { authorization: `Basic ${Buffer.from('cyrus:p:ss wörd').toString('base64')}` };

test('the sample repository has the same commits on every machine', async () => {
  const commits = await host.log(SAMPLE_REPOSITORY, 'main');
  expect(commits.map((commit) => commit.subject)).toEqual([
    'Show that the total forgets quantities',
    'Price a cart: coupons, shipping, checkout',
    'Take items out of the cart',
    'Put items into a cart',
    'Reckon with money in whole cents',
  ]);
  expect(await host.ensureRepository(SAMPLE_REPOSITORY, await sampleRepository())).toBe(false);

  const twin = await startGitHost({ root: join(directory, 'twin'), username: 'u', password: 'p' });
  expect(await twin.ensureRepository(SAMPLE_REPOSITORY, await sampleRepository())).toBe(true);
  expect(await twin.log(SAMPLE_REPOSITORY, 'main')).toEqual(commits);
  await twin.close();
});

test('exactly one test of the sample repository fails, because the total ignores quantities', async () => {
  const clone = join(directory, 'failing');
  await git(['clone', '--quiet', host.cloneUrl(SAMPLE_REPOSITORY), clone]);
  const failure = await run(process.execPath, ['--test', '--test-reporter=tap'], { cwd: clone }).then(
    () => null,
    (error: { stdout: string }) => error.stdout,
  );
  expect(failure?.match(/^not ok .*$/gm)).toEqual([expect.stringContaining('the total counts every piece of an item')]);
  expect(failure).toContain('# pass 14');
});

test('every commit but the last passes its own tests', async () => {
  const clone = join(directory, 'history');
  await git(['clone', '--quiet', host.cloneUrl(SAMPLE_REPOSITORY), clone]);
  for (const commit of (await host.log(SAMPLE_REPOSITORY, 'main')).slice(1)) {
    await git(['checkout', '--quiet', commit.sha], clone);
    await run(process.execPath, ['--test'], { cwd: clone });
  }
});

test('a branch is cloned, changed, pushed and shown', async () => {
  const clone = join(directory, 'work');
  await git(['clone', '--quiet', host.cloneUrl(SAMPLE_REPOSITORY), clone]);
  await git(['switch', '--quiet', '-c', 'cyrus/eng-1-<b>'], clone);
  await writeFile(join(clone, 'new.txt'), '<script>alert("it is only text")</script>\n');
  await git(['add', '-A'], clone);
  await git(['commit', '--quiet', '-m', 'Add <i>a file</i>'], clone);
  await git(['push', '--quiet', 'origin', 'HEAD'], clone);

  expect((await host.log(SAMPLE_REPOSITORY, 'cyrus/eng-1-<b>'))[0]).toMatchObject({ subject: 'Add <i>a file</i>' });
  expect((await host.branches(SAMPLE_REPOSITORY)).map((branch) => branch.name)).toEqual(['cyrus/eng-1-<b>', 'main']);
  expect(await host.readFile(SAMPLE_REPOSITORY, 'cyrus/eng-1-<b>', 'new.txt')).toContain('only text');

  const response = await fetch(host.branchUrl(SAMPLE_REPOSITORY, 'cyrus/eng-1-<b>'));
  const page = await response.text();
  expect(response.status).toBe(200);
  expect(page).toContain('Commits that main does not have (1)');
  expect(page).toContain('Add &#60;i&#62;a file');
  expect(page).toContain('+&#60;script&#62;alert');
  expect(page).not.toContain('<script>');
  for (const link of page.matchAll(/href="([^"]+)"/g)) {
    expect((await fetch(new URL(link[1] ?? '', host.url))).status, link[1]).toBe(200);
  }
  expect(await (await fetch(host.url)).text()).toContain(host.cloneUrl(SAMPLE_REPOSITORY));
});

test('a large push travels in chunks and arrives whole', async () => {
  const clone = join(directory, 'large');
  await git(['clone', '--quiet', host.cloneUrl(SAMPLE_REPOSITORY), clone]);
  // Bytes that do not compress, so that the body is longer than git's buffer and is sent without a length.
  const bytes = Buffer.alloc(6_000_000);
  let state = 1;
  for (let index = 0; index < bytes.length; index++) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    bytes[index] = state >> 16;
  }
  await mkdir(join(clone, 'data'));
  await writeFile(join(clone, 'data/large.bin'), bytes);
  await git(['add', '-A'], clone);
  await git(['commit', '--quiet', '-m', 'Large'], clone);
  await git(['push', '--quiet', 'origin', 'HEAD:refs/heads/large'], clone);
  const again = join(directory, 'large-again');
  await git(['clone', '--quiet', '--branch', 'large', host.cloneUrl(SAMPLE_REPOSITORY), again]);
  expect(await git(['rev-parse', 'HEAD'], again)).toBe(await git(['rev-parse', 'HEAD'], clone));
});

test.runIf(process.platform === 'linux')(
  'a push that breaks off because the git host was killed leaves no process behind',
  async () => {
    const module = new URL('../../dev/git/git-host.ts', import.meta.url).href;
    const root = join(directory, 'killed');
    const script = `const { startGitHost } = await import(${JSON.stringify(module)});
    const host = await startGitHost({ root: ${JSON.stringify(root)}, username: 'u', password: 'p' });
    await host.ensureRepository('acme/app', { branch: 'main', commits: [{ message: 'Begin', author: { name: 'A', email: 'a@b.example' }, at: 1, files: { a: 'a' } }] });
    console.log(host.url);`;
    const server = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(server.stdout, 'data')) as [Buffer];
    const push = request(`${line.toString().trim()}/acme/app.git/git-receive-pack`, {
      method: 'POST',
      headers: {
        authorization: `Basic ${Buffer.from('u:p').toString('base64')}`,
        'content-type': 'application/x-git-receive-pack-request',
        'content-length': 1_000,
      },
    });
    push.on('error', () => {});
    push.write('0');
    const ofRoot = async () => {
      const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
      const environments = await Promise.all(
        pids.map((pid) => readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')),
      );
      return pids.filter((_pid, index) => environments[index]?.includes(`GIT_PROJECT_ROOT=${root}`));
    };
    await vi.waitFor(async () => expect(await ofRoot()).not.toEqual([]), { timeout: 10_000 });
    server.kill('SIGKILL');
    await vi.waitFor(async () => expect(await ofRoot()).toEqual([]), { timeout: 10_000 });
  },
);

test('a long negotiation, which git packs with gzip, is understood', async () => {
  const clone = join(directory, 'negotiation');
  await git(['clone', '--quiet', host.cloneUrl(SAMPLE_REPOSITORY), clone]);
  for (let index = 0; index < 60; index++) await git(['commit', '--quiet', '--allow-empty', '-m', `${index}`], clone);
  const other = join(directory, 'negotiation-other');
  await git(['clone', '--quiet', host.cloneUrl(SAMPLE_REPOSITORY), other]);
  await git(['commit', '--quiet', '--allow-empty', '-m', 'elsewhere'], other);
  await git(['push', '--quiet', 'origin', 'HEAD:refs/heads/elsewhere'], other);
  await git(['fetch', '--quiet', 'origin', 'elsewhere'], clone);
  expect(await git(['log', '-1', '--format=%s', 'FETCH_HEAD'], clone)).toBe('elsewhere\n');
});

test('without the right credential nothing is fetched or pushed', async () => {
  const refs = '/acme/shop.git/info/refs?service=git-upload-pack';
  const response = await fetch(host.url + refs);
  expect(response.status).toBe(401);
  expect(response.headers.get('www-authenticate')).toContain('Basic');
  const wrong = { authorization: `Basic ${Buffer.from('cyrus:wrong').toString('base64')}` };
  expect((await rawGet(refs, wrong)).status).toBe(401);
  expect((await rawGet(refs, { authorization: 'Bearer cyrus:p:ss wörd'.replace('ö', 'o') })).status).toBe(401);
  expect((await rawGet(refs, basic)).status).toBe(200);
  await expect(git(['ls-remote', host.cloneUrl(SAMPLE_REPOSITORY)], directory, 'cyrus:no')).rejects.toThrow(
    'could not read Username',
  );
});

test('nothing outside of the repositories can be reached', async () => {
  await writeFile(join(directory, 'secret'), 'top secret');
  const query = '/info/refs?service=git-upload-pack';
  for (const path of [
    `/../..${query}`,
    `/acme/..${query}`,
    `/acme/%2e%2e${query}`,
    `/acme/..%2f..%2fshop.git${query}`,
    `/.hidden/shop.git${query}`,
    `/acme/.shop.git-partial${query}`,
    `/acme/unknown.git${query}`,
    '/acme/shop.git/HEAD',
    '/acme/shop.git/objects/info/packs',
    '/acme/shop.git/config',
    '/acme/shop/blob/main?path=../../secret',
    '/acme/shop/tree/--output=x',
    '/acme/shop/commit/main:README.md',
    '/%ff/%',
  ]) {
    const answer = await rawGet(path, basic);
    expect(answer.status, path).toBe(404);
    expect(answer.body).not.toContain('top secret');
  }
  for (const name of ['../x', 'a/../b', 'a', 'a/b/c', '/a/b', 'a/.b', 'a/b.git', 'a\\b/c']) {
    await expect(host.log(name, 'main')).rejects.toThrow(RepositoryNameError);
  }
});

test('the git host fails and dawdles when told to, for as long as told', async () => {
  host.failNext(2, 503);
  const refs = '/acme/shop.git/info/refs?service=git-upload-pack';
  const statuses: number[] = [];
  for (let index = 0; index < 3; index++) statuses.push((await rawGet(refs, basic)).status);
  expect(statuses).toEqual([503, 503, 200]);
  await expect
    .poll(() =>
      host
        .requests()
        .slice(-3)
        .map((entry) => entry.status),
    )
    .toEqual([503, 503, 200]);

  host.slowDown(150);
  const began = performance.now();
  await rawGet(refs, basic);
  host.slowDown(0);
  expect(performance.now() - began).toBeGreaterThanOrEqual(149);
});

describe("what GitHub refuses of a push is refused in GitHub's words", () => {
  let clone: string;

  beforeAll(async () => {
    clone = join(directory, 'refused');
    await git(['clone', '--quiet', host.cloneUrl(SAMPLE_REPOSITORY), clone]);
  });

  async function refusal(ref: string): Promise<string> {
    const pushed = git(['push', 'origin', `HEAD:${ref}`], clone);
    return pushed.then(
      () => 'it was pushed',
      (error: { stderr: string }) => error.stderr,
    );
  }

  async function commit(path: string, content: string | Buffer): Promise<void> {
    await git(['checkout', '--quiet', '--detach', 'origin/main'], clone);
    await writeFile(join(clone, path), content);
    await git(['add', path], clone);
    await git(['commit', '--quiet', '-m', path], clone);
  }

  test('a file over 100 MiB, also one that a later commit took away again', async () => {
    await commit('two words.bin', Buffer.alloc(100 * 1024 * 1024 + 11_000));
    await git(['rm', '--quiet', 'two words.bin'], clone);
    await git(['commit', '--quiet', '-m', 'Take it away'], clone);
    const said = await refusal('refs/heads/too-large');
    expect(said).toContain(
      "remote: error: File two words.bin is 100.01 MB; this exceeds GitHub's file size limit of 100.00 MB",
    );
    expect(said).toContain('remote: error: GH001: Large files detected.');
    expect(said).toMatch(/! \[remote rejected\] HEAD -> too-large \(pre-receive hook declined\)/);
    expect((await host.branches(SAMPLE_REPOSITORY)).map(({ name }) => name)).not.toContain('too-large');
    await commit('just.bin', Buffer.alloc(100 * 1024 * 1024));
    expect(await refusal('refs/heads/just')).toBe('it was pushed');
  });

  test('a pointer of Git LFS until its object is there; a text about pointers is none', async () => {
    const oid = 'ab12'.padEnd(64, '7');
    const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize 12\n`;
    await commit('pointer.md', `A pointer looks like this:\n\n${pointer}`);
    expect(await refusal('refs/heads/about-pointers')).toBe('it was pushed');
    await commit('image.bin', pointer);
    const said = await refusal('refs/heads/pointer');
    expect(said).toContain('remote: error: GH008: Your push referenced at least 1 unknown Git LFS object:');
    expect(said).toContain(`remote:     ${oid}`);
    expect(said).toContain("remote: Try to push them with 'git lfs push --all'.");

    const objects = join((await host.directory(SAMPLE_REPOSITORY)) ?? '', 'lfs/objects/ab/12');
    await mkdir(objects, { recursive: true });
    await writeFile(join(objects, oid), 'twelve bytes');
    expect(await refusal('refs/heads/pointer')).toBe('it was pushed');
  });

  test('the refs of pull requests', async () => {
    await commit('x.txt', 'x');
    const said = await refusal('refs/pull/1/head');
    expect(said).toMatch(/! \[remote rejected\] HEAD -> refs\/pull\/1\/head \(deny updating a hidden ref\)/);
  });

  test('a protected branch and those below it, each by itself', async () => {
    host.protect(SAMPLE_REPOSITORY, 'main', 'release');
    await commit('y.txt', 'y');
    const said = await refusal('refs/heads/main');
    expect(said).toContain('remote: error: GH006: Protected branch update failed for refs/heads/main.');
    expect(said).toContain('remote: error: Changes must be made through a pull request.');
    expect(said).toMatch(/! \[remote rejected\] HEAD -> main \(protected branch hook declined\)/);
    expect(await refusal('refs/heads/release/1.0')).toContain('GH006');
    const both = await git(['push', '--porcelain', 'origin', 'HEAD:main', 'HEAD:refs/heads/open'], clone).catch(
      ({ stdout }: { stdout: string }) => stdout,
    );
    expect(both).toContain('(protected branch hook declined)');
    expect((await host.branches(SAMPLE_REPOSITORY)).map(({ name }) => name)).toContain('open');
    host.protect(SAMPLE_REPOSITORY);
    expect(await refusal('refs/heads/release/1.0')).toBe('it was pushed');
  });

  test("what the repository's own hook declines, with the hook's words", async () => {
    const hooks = join((await host.directory(SAMPLE_REPOSITORY)) ?? '', 'hooks');
    await mkdir(hooks, { recursive: true });
    const hook = join(hooks, 'pre-receive');
    await writeFile(hook, '#!/bin/sh\nread old new ref; echo "no pushes to $ref on Fridays"; exit 1\n', {
      mode: 0o755,
    });
    await commit('z.txt', 'z');
    const said = await refusal('refs/heads/friday');
    await rm(hook);
    expect(said).toContain('remote: no pushes to refs/heads/friday on Fridays');
    expect(said).toContain('(pre-receive hook declined)');
  });
});

test('a repository that was renamed is found by its former names, by git that follows', async () => {
  const author = { name: 'Ada', email: 'ada@acme.example' };
  const seed = { branch: 'main', commits: [{ message: 'first', author, at: 1_790_000_000, files: { f: 'one' } }] };
  await host.ensureRepository('acme/old', seed);
  await host.rename('acme/old', 'acme/middle');
  await host.rename('acme/middle', 'other/new');
  for (const name of ['acme/old', 'acme/middle', 'other/new'])
    expect(await git(['ls-remote', host.cloneUrl(name)])).toContain('refs/heads/main');
  const asked = host.cloneUrl('acme/old');
  await expect(git(['-c', 'http.followRedirects=false', 'ls-remote', asked])).rejects.toThrow(/error: 301/);
  await host.rename('other/new', 'acme/old');
  expect(await git(['-c', 'http.followRedirects=false', 'ls-remote', asked])).toContain('refs/heads/main');
});

test('without git the git host says what to install', async () => {
  const path = process.env.PATH;
  process.env.PATH = directory;
  try {
    const start = startGitHost({ root: join(directory, 'x'), username: 'u', password: 'p' });
    await expect(start).rejects.toThrow(GitMissingError);
    await expect(start).rejects.toThrow('git was not found on PATH: install it');
  } finally {
    process.env.PATH = path;
  }
});
