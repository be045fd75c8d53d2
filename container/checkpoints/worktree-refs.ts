/** The commits of HEAD and of the session's branch, and the folders in which git keeps the worktree's index and objects. */
import { join } from 'node:path';
import { GitError, git } from '../git/git.ts';
import { inWorktree, type WorkspacePlan } from '../git/workspace-plan.ts';

export interface WorktreeRefs {
  /** Folder of the worktree's own HEAD and index. */
  gitDir: string;
  /** Folder of the repository's objects. */
  objects: string;
  /** Commit of HEAD. */
  head: string;
  /** Ref that HEAD names; null: HEAD is detached. */
  headRef: string | null;
  /** Commit of the session's branch, or of HEAD if Claude removed the branch. */
  branchHead: string;
}

/** Reads them. @throws GitError if the worktree has no repository, or nothing in it leads to a commit */
export async function readWorktreeRefs(plan: WorkspacePlan): Promise<WorktreeRefs> {
  return (await readAtOnce(plan)) ?? (await readOneByOne(plan));
}

const FOLDERS = ['--path-format=absolute', '--git-dir', '--git-common-dir'];

/** All of it by one process. @returns null if something is missing, or a name means several things */
async function readAtOnce(plan: WorkspacePlan): Promise<WorktreeRefs | null> {
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

/** By a process for each, with what Cyrus takes for one that is missing. */
async function readOneByOne(plan: WorkspacePlan): Promise<WorktreeRefs> {
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
  // A branch that has no commit yet (`git checkout --orphan`) counts as being at the commit of the session's.
  const head = at || (headRef === null ? '' : branch);
  if (head === '') await git(['rev-parse', '--verify', 'HEAD^{commit}'], plain);
  return { gitDir, objects: join(common, 'objects'), head, headRef, branchHead: branch || head };
}
