/**
 * The repository's template for pull requests, in the places that GitHub documents: `pull_request_template.md` in `.github`, at the top or in
 * `docs`, or the only file of a folder of that name (docs.github.com/…/creating-a-pull-request-template-for-your-repository). As on
 * the base branch.
 */
import { MAX_PULL_REQUEST_TEMPLATE } from '../../src/protocol/sandbox/events.ts';
import { GitError, type GitOptions, git } from '../git/git.ts';
import { inWorktree, type WorkspacePlan } from '../git/workspace-plan.ts';

const PLACES = ['.github/', '', 'docs/'];
const FILE = /^pull_request_template(?:\.(?:md|markdown|txt))?$/i;
const FOLDER = /^pull_request_template$/i;

interface Entry {
  kind: string;
  id: string;
  path: string;
}

/** @returns null if there is none, or several of which none is the usual one. */
export async function pullRequestTemplate(plan: WorkspacePlan): Promise<string | null> {
  const options = inWorktree(plan);
  const base = `refs/remotes/origin/${plan.baseBranch}`;
  try {
    for (const place of PLACES) {
      const entries = await list(options, base, place);
      const file = entries.find(({ kind, path }) => kind === 'blob' && FILE.test(nameOf(path)));
      if (file) return await read(options, file.id);
      const folder = entries.find(({ kind, path }) => kind === 'tree' && FOLDER.test(nameOf(path)));
      if (!folder) continue;
      const files = (await list(options, base, `${folder.path}/`)).filter(({ kind }) => kind === 'blob');
      const usual = files.find(({ path }) => FILE.test(nameOf(path)) || /^default\.md$/i.test(nameOf(path)));
      const chosen = usual ?? (files.length === 1 ? files[0] : undefined);
      if (chosen) return await read(options, chosen.id);
    }
    return null;
  } catch (error) {
    if (error instanceof GitError) return null;
    throw error;
  }
}

async function list(options: GitOptions, base: string, folder: string): Promise<Entry[]> {
  const args = ['ls-tree', '-z', '--full-tree', base, ...(folder === '' ? [] : ['--', folder])];
  const listed = await git(args, options);
  return listed.split('\0').flatMap((line) => {
    // A link is no file: it could name anything.
    const [, kind, id, path] = /^(?:100\d{3}|040000) (blob|tree) ([0-9a-f]+)\t(.+)$/s.exec(line) ?? [];
    return kind && id && path ? [{ kind, id, path }] : [];
  });
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** One that is too long to be filled in is none. */
async function read(options: GitOptions, blob: string): Promise<string | null> {
  const text = await git(['cat-file', 'blob', blob], { ...options, maxBytes: 4 * MAX_PULL_REQUEST_TEMPLATE });
  return text.trim() === '' || text.length > MAX_PULL_REQUEST_TEMPLATE || text.includes('\0') ? null : text;
}
