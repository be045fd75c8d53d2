/** What real git makes of the git host, as a person with the right password would see it. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { SAMPLE_REPOSITORY } from '../../dev/git/sample-repository.ts';
import { plainEnvironment } from '../../dev/processes.ts';
import type { Stack } from '../../dev/stack.ts';

const execute = promisify(execFile);

/** A command's end: its exit code and what it printed. */
export interface Outcome {
  code: number;
  output: string;
}

export class GitCheckout {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** Clones the sample repository over HTTP. @param name of the directory, unique within the run */
  static async clone(stack: Stack, name: string): Promise<GitCheckout> {
    const directory = join(stack.folder, 'checkouts', name);
    const origin = stack.git.cloneUrl(SAMPLE_REPOSITORY).replace('://', `://cyrus:${stack.secrets.gitPassword}@`);
    await execute('git', ['clone', '--quiet', origin, directory], { env: plainEnvironment() });
    return new GitCheckout(directory);
  }

  /** Checks a branch out, as it is on the git host now. */
  async checkOut(branch: string): Promise<void> {
    await this.#git('fetch', '--quiet', 'origin');
    await this.#git('checkout', '--quiet', '--detach', `origin/${branch}`);
  }

  /** Runs the repository's own tests. */
  npmTest(): Promise<Outcome> {
    return this.#run('npm', 'test');
  }

  /** Commits of a branch that main does not have, oldest first. */
  async commitsOf(branch: string): Promise<{ sha: string; subject: string }[]> {
    await this.#git('fetch', '--quiet', 'origin');
    const log = await this.#git('log', '--reverse', '--format=%H %s', `origin/main..origin/${branch}`);
    return log
      .split('\n')
      .filter(Boolean)
      .map((line) => ({ sha: line.slice(0, 40), subject: line.slice(41) }));
  }

  /** Whether a patch could be applied to main. */
  async checkPatch(patch: string): Promise<Outcome> {
    await this.checkOut('main');
    const file = join(this.directory, '.git', 'downloaded.patch');
    writeFileSync(file, patch);
    return this.#run('git', 'apply', '--check', '--verbose', file);
  }

  async #git(...args: string[]): Promise<string> {
    const { stdout } = await execute('git', args, { cwd: this.directory, env: plainEnvironment() });
    return stdout;
  }

  async #run(command: string, ...args: string[]): Promise<Outcome> {
    try {
      const { stdout, stderr } = await execute(command, args, { cwd: this.directory, env: plainEnvironment() });
      return { code: 0, output: stdout + stderr };
    } catch (error) {
      const { code, stdout, stderr }: { code?: unknown; stdout?: unknown; stderr?: unknown } = Object(error);
      if (typeof code !== 'number') throw error;
      return { code, output: `${stdout}${stderr}` };
    }
  }
}
