import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type GitRemote, git, gitEnvironmentForClaude } from '../../container/git/git.ts';

let folder: string;
const path = process.env.PATH;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cyrus-git-'));
});
afterEach(async () => {
  process.env.PATH = path;
  await rm(folder, { recursive: true, force: true });
});

const remote = (): GitRemote => ({
  url: 'http://gateway/git/acme/shop.git',
  gatewayUrl: 'http://gateway',
  token: 'token-of-the-test',
  author: { name: 'Cyrus', email: 'cyrus@cyrus.test' },
  excludesFile: join(folder, 'excludes'),
  proxyUrl: 'http://127.0.0.1:1',
  hooksFolder: join(folder, 'hooks'),
});

// Git 2.46 and later dies of signal 11 when it is given one if there is no repository whose hash it could be read by.
it('git is given no refspec from outside, so that branches can be listed if there is no repository yet', async () => {
  const fake = join(folder, 'git');
  await writeFile(fake, '#!/bin/sh\nenv\n');
  await chmod(fake, 0o755);
  process.env.PATH = `${folder}:${path}`;
  const given = await git(['ls-remote', remote().url], { cwd: folder, remote: remote() });
  expect(given).toContain('remote.origin.url');
  expect(given).not.toMatch(/=remote\.[^=\n]*\.fetch$/m);
  expect(Object.values(gitEnvironmentForClaude(remote()))).toContain('remote.origin.url');
  // Neither the server's git nor Claude's knows the token.
  expect(given).not.toContain('token-of-the-test');
  expect(JSON.stringify(gitEnvironmentForClaude(remote()))).not.toContain('token-of-the-test');
  expect(Object.values(gitEnvironmentForClaude(remote())).join('\n')).not.toMatch(/^remote\..*\.fetch$/m);
});
