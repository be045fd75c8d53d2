/** The git host with the sample repository, the stand-in for GitHub before it, and a Cyrus configured for the two. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gitEnvironment } from '../../dev/git/git-command.ts';
import { type GitHost, startGitHost } from '../../dev/git/git-host.ts';
import { SAMPLE_REPOSITORY, sampleRepository } from '../../dev/git/sample-repository.ts';
import { type GitHub, startGitHub } from '../../dev/github/github.ts';

const run = promisify(execFile);

export interface GitHubStage {
  folder: string;
  git: GitHost;
  /** The stand-in of the test at hand; `again` replaces it. */
  github: GitHub;
  /** How far the stand-in's clock is ahead, in ms. */
  ahead: number;
  now(): number;
  /** A stand-in that knows nothing, with the app installed on the sample repository. */
  renew(): Promise<void>;
  /** Pushes a commit to a branch, which is made from main if there is none. */
  push(branch: string): Promise<void>;
  /** git as a client of the host with this `user:password`. */
  runGit(args: string[], credential: string, cwd?: string): Promise<string>;
  close(): Promise<void>;
}

export async function setGitHubStage(): Promise<GitHubStage> {
  const folder = await mkdtemp(join(tmpdir(), 'github-'));
  const git = await startGitHost({
    root: join(folder, 'git'),
    username: 'cyrus',
    password: 'host-password',
    admits: (token, fullName, writes) => stage.github.admitsGit(token, fullName, writes),
    rules: (fullName) => stage.github.branchRules(fullName),
  });
  await git.ensureRepository(SAMPLE_REPOSITORY, await sampleRepository());
  await git.ensureRepository('acme/site', await sampleRepository());
  const start = () =>
    startGitHub({ locate: git.directory, cloneUrl: git.cloneUrl, branchUrl: git.branchUrl, now: () => stage.now() });

  const runGit = async (args: string[], credential: string, cwd = folder): Promise<string> => {
    const person = { GIT_AUTHOR_NAME: 'T', GIT_AUTHOR_EMAIL: 't@x.example', GIT_COMMITTER_NAME: 'T' };
    const header = `http.extraHeader=Authorization: Basic ${Buffer.from(credential).toString('base64')}`;
    const environment = gitEnvironment({ ...person, GIT_COMMITTER_EMAIL: 't@x.example', HOME: folder });
    return (await run('git', ['-c', header, ...args], { cwd, env: environment })).stdout;
  };

  const stage: GitHubStage = {
    folder,
    git,
    ahead: 0,
    now: () => Date.now() + stage.ahead,
    github: await startGitHub({ locate: git.directory, cloneUrl: git.cloneUrl, branchUrl: git.branchUrl }),
    renew: async () => {
      await stage.github.close();
      stage.ahead = 0;
      stage.github = await start();
      stage.github.install([SAMPLE_REPOSITORY]);
    },
    push: async (branch) => {
      const clone = await mkdtemp(join(folder, 'clone-'));
      const host = 'cyrus:host-password';
      await runGit(['clone', '--quiet', git.cloneUrl(SAMPLE_REPOSITORY), clone], host);
      const isThere = (await runGit(['branch', '--remotes'], host, clone)).includes(`origin/${branch}`);
      await runGit(['checkout', '--quiet', ...(isThere ? [branch] : ['-b', branch])], host, clone);
      await runGit(['commit', '--quiet', '--allow-empty', '-m', `Work on ${branch}`], host, clone);
      await runGit(['push', '--quiet', 'origin', branch], host, clone);
    },
    runGit,
    close: async () => {
      await stage.github.close();
      await git.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return stage;
}
