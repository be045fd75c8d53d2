/** A second person at the same repository, with a clone of their own and no idea of Cyrus. */
import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { Random } from '../unit/support/random.ts';

const execute = promisify(execFile);

/** What they do, and how much of what was on the branch they take off it themselves. */
export const DEEDS = {
  push: 'echo "$N" > "p$N.txt"; git add .; git commit -qm "P$N"; git push -q origin HEAD:"$B"',
  conflict: 'echo "person $N" > shared.txt; git add .; git commit -qm "P$N"; git push -q origin HEAD:"$B"',
  update: 'git merge -q --no-edit origin/main; git push -q origin HEAD:"$B"',
  revert: 'git revert --no-edit HEAD >/dev/null; git push -q origin HEAD:"$B"',
  rebase: 'git rebase -q origin/main; git push -q --force-with-lease="$B" origin HEAD:"$B"',
  amend: 'git commit -q --amend --no-edit --reset-author; git push -q --force-with-lease="$B" origin HEAD:"$B"',
  squash:
    'git checkout -q main; git reset -q --hard origin/main; git merge -q --squash "origin/$B"; git commit -qm "Squash $N"; git push -q origin main; git push -q origin ":$B"',
  squashKeep:
    'git checkout -q main; git reset -q --hard origin/main; git merge -q --squash "origin/$B"; git commit -qm "Squash $N"; git push -q origin main',
  merge:
    'git checkout -q main; git reset -q --hard origin/main; git merge -q --no-ff --no-edit "origin/$B"; git push -q origin main; git push -q origin ":$B"',
  main: 'git checkout -q main; git reset -q --hard origin/main; echo "$N" > "m$N.txt"; git add .; git commit -qm "M$N"; git push -q origin main',
  tag: 'git tag "t$N"; git push -q origin "t$N"',
} as const;
export type Deed = keyof typeof DEEDS;

const WITHOUT_BRANCH: readonly Deed[] = ['main'];

export class Person {
  readonly #clone: string;
  readonly #bare: string;
  readonly #branch: string;
  #count = 0;

  constructor(clone: string, bare: string, branch: string) {
    this.#clone = clone;
    this.#bare = bare;
    this.#branch = branch;
  }

  async arrive(): Promise<void> {
    await mkdir(this.#clone, { recursive: true });
    await this.#bash(
      `git clone -q "${this.#bare}" .; git config user.name Person; git config user.email person@example.com`,
    );
  }

  /** Something they may do now. */
  choose(random: Random, hasBranch: boolean): Deed {
    return hasBranch ? random.pick(Object.keys(DEEDS) as Deed[]) : random.pick(WITHOUT_BRANCH);
  }

  /** @returns whether it worked; a person too meets conflicts and gives up */
  async does(deed: Deed): Promise<boolean> {
    this.#count += 1;
    const start = `git fetch -q --prune origin; git rebase --abort 2>/dev/null || true; git merge --abort 2>/dev/null || true; git reset -q --hard; git clean -qfd; git checkout -q --detach origin/main`;
    const on = WITHOUT_BRANCH.includes(deed) ? '' : `git checkout -q -B mine "origin/$B"; `;
    return await this.#bash(`${start}; ${on}${DEEDS[deed]}`).then(
      () => true,
      () => false,
    );
  }

  async #bash(script: string): Promise<void> {
    const env = {
      PATH: process.env.PATH,
      HOME: '/nonexistent',
      GIT_CONFIG_NOSYSTEM: '1',
      N: String(this.#count),
      B: this.#branch,
      GIT_EDITOR: 'true',
    };
    await execute('bash', ['-euc', script], { cwd: this.#clone, env });
  }
}
