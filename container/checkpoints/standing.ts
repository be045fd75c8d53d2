/** Where HEAD and the session's branch are, and where git keeps what it knows of the worktree. */
import { join } from 'node:path';
import { GitError, git } from '../git/git.ts';
import { inWorktree, type WorkspacePlan } from '../git/workspace-plan.ts';

export interface Standing {
  gitDir: string;
  objects: string;
  head: string;
  headRef: string | null;
  branchHead: string;
}

/** Reads it. @throws GitError if the worktree has no repository, or nothing in it leads to a commit */
export async function standingOf(plan: WorkspacePlan): Promise<Standing> {
  return (await usualStanding(plan)) ?? (await unusualStanding(plan));
}

const FOLDERS = ['--path-format=absolute', '--git-dir', '--git-common-dir'];

/** All of it by one process. @returns null if something is missing, or a name means several things */
async function usualStanding(plan: WorkspacePlan): Promise<Standing | null> {
  const names = ['HEAD^{commit}', `refs/heads/${plan.branch}^{commit}`, '--symbolic-full-name', 'HEAD'];
  const said = await git(['rev-parse', ...FOLDERS, ...names], inWorktree(plan)).catch((error: unknown) => {
    if (!(error instanceof GitError) || error.timedOut || plan.signal.aborted) throw error;
    return '';
  });
  const [gitDir, common, head, branchHead, full, ...others] = said.split('\n');
  if (!gitDir || !common || !head || !branchHead || !full || others.join('') !== '') return null;
  const headRef = full === 'HEAD' ? null : full;
  return { gitDir, objects: join(common, 'objects'), head, headRef, branchHead };
}

async function unusualStanding(plan: WorkspacePlan): Promise<Standing> {
  const plain = inWorktree(plan);
  const commitAt = (name: string) =>
    git(['rev-parse', '--verify', '--quiet', `${name}^{commit}`], plain).then(
      (found) => found.trim(),
      () => '',
    );
  const [facts, at, branch, headRef] = await Promise.all([
    git(['rev-parse', ...FOLDERS], plain),
    commitAt('HEAD'),
    // Claude may have removed it.
    commitAt(`refs/heads/${plan.branch}`),
    git(['symbolic-ref', '--quiet', 'HEAD'], plain).then(
      (name) => name.trim(),
      () => null,
    ),
  ]);
  const [gitDir = '', common = ''] = facts.split('\n');
  // A branch that has no commit yet (`git checkout --orphan`) stands where the session's does.
  const head = at || (headRef === null ? '' : branch);
  if (head === '') await git(['rev-parse', '--verify', 'HEAD^{commit}'], plain);
  return { gitDir, objects: join(common, 'objects'), head, headRef, branchHead: branch || head };
}
