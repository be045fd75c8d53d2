/** What is on the git host, read from the bare repository itself. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const execute = promisify(execFile);

export class HostTruth {
  readonly #bare: string;
  readonly #branch: string;

  constructor(bare: string, branch: string) {
    this.#bare = bare;
    this.#branch = branch;
  }

  hasBranch(): Promise<boolean> {
    return this.#says('show-ref', '--verify', '--quiet', `refs/heads/${this.#branch}`);
  }

  /** Commits by other people that the branch has and main has not. */
  async theirs(author: string): Promise<string[]> {
    if (!(await this.hasBranch())) return [];
    const listed = await this.#git('log', '--format=%H %ce', this.#branch, '^main');
    return listed.split('\n').flatMap((line) => {
      const [sha = '', by] = line.split(' ');
      return sha === '' || by === author ? [] : [sha];
    });
  }

  /** Whether a commit is in the history of the branch or of main. */
  async holds(sha: string): Promise<boolean> {
    for (const ref of ['main', ...((await this.hasBranch()) ? [this.#branch] : [])])
      if (await this.#says('merge-base', '--is-ancestor', sha, ref)) return true;
    return false;
  }

  /** Whether a commit of Claude's is there: by its subject, or by its file where it was squashed into main. */
  async hasWork(number: number): Promise<boolean> {
    const refs = ['main', ...((await this.hasBranch()) ? [this.#branch] : [])];
    const subjects = await this.#git('log', '--format=%s', ...refs);
    if (subjects.split('\n').includes(`C${number}`)) return true;
    for (const ref of refs) if (await this.#says('cat-file', '-e', `${ref}:c${number}.txt`)) return true;
    return false;
  }

  async #git(...args: string[]): Promise<string> {
    const { stdout } = await execute('git', args, { cwd: this.#bare, maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  }

  async #says(...args: string[]): Promise<boolean> {
    return await execute('git', args, { cwd: this.#bare }).then(
      () => true,
      () => false,
    );
  }
}
