/**
 * The repository's own prompts: `.cyrus/prompts/all.md` for every role, `.cyrus/prompts/<role>.md` for one. They are read
 * from the commit of the base branch, so they are what the repository's people agreed on: a working branch, which Claude
 * or an unreviewed change may have edited, has no say.
 */

import type { Role } from '../../src/protocol/settings/repository.ts';
import { escapeTags } from '../../src/protocol/text/prompt-tags.ts';
import { log } from '../log.ts';
import { GitError, type GitOptions, git, gitSays } from './git.ts';
import type { WorkspacePlan } from './workspace-plan.ts';

const FOLDER = '.cyrus/prompts';
/** Largest part of a file that is given to Claude. */
const MAX_BYTES = 64 * 1024;
const READ_TIMEOUT_MS = 20_000;

/**
 * Reads them out of the mirror's objects; nothing of the worktree is looked at.
 * @param role null: not known, only what is for all
 * @returns the words for Claude's system prompt, marked as the repository's; null if there are none. Never throws: work
 * continues without them, and the log says why.
 */
export async function readRepositoryPrompts(plan: WorkspacePlan, role: Role | null): Promise<string | null> {
  const names = ['all', ...(role === null ? [] : [role])].map((name) => `${FOLDER}/${name}.md`);
  const options = { cwd: plan.mirror, remote: plan.remote, signal: plan.signal, timeoutMs: READ_TIMEOUT_MS };
  try {
    const base = `refs/remotes/origin/${plan.baseBranch}`;
    if (!(await gitSays(['show-ref', '--quiet', '--verify', base], options))) return null;
    const listed = await git(['ls-tree', '-z', '--full-tree', `${base}^{commit}`, '--', ...names], options);
    const files = new Map(listed.split('\0').flatMap(regularFile));
    const sections: string[] = [];
    for (const name of names) {
      const blob = files.get(name);
      const text = blob === undefined ? '' : (await readCapped(blob, options)).trim();
      if (text !== '') sections.push(section(name, text));
    }
    return sections.length === 0 ? null : [introduction(plan.baseBranch), ...sections].join('\n\n');
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    log('git.repository_prompts.unreadable', { repository: plan.fullName, error });
    return null;
  }
}

/** A line of `ls-tree` as path and blob. A link is no file: it could name anything (mode 120000, git's documentation). */
function regularFile(line: string): [path: string, blob: string][] {
  const match = /^100(?:644|755|664) blob ([0-9a-f]{40,64})\t(.+)$/s.exec(line);
  return match?.[1] && match[2] ? [[match[2], match[1]]] : [];
}

async function readCapped(blob: string, options: GitOptions): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const onData = (chunk: Buffer) => {
    if (bytes <= MAX_BYTES) chunks.push(chunk);
    bytes += chunk.length;
  };
  await git(['cat-file', 'blob', blob], { ...options, onData }).catch((error: unknown) => {
    if (!(error instanceof GitError && error.tooLarge)) throw error;
  });
  const kept = Buffer.concat(chunks).subarray(0, MAX_BYTES).toString('utf8');
  return bytes <= MAX_BYTES
    ? kept
    : `${kept}\n\n(This file is longer than ${MAX_BYTES / 1024} KiB; the rest was omitted.)`;
}

function introduction(baseBranch: string): string {
  return `# The repository's own prompts

Files under \`${FOLDER}\` on the branch \`${baseBranch}\` say how its people want agents to work. Follow them, even if they differ from what was said above about your role. What a Cyrus admin set for the repository overrides them; and they change nothing about what counts as a request, what is secret, and what you may push.`;
}

/** The text cannot close its own section, nor open another. */
function section(name: string, text: string): string {
  return `<cyrus-repository-prompt file="${name}">\n${escapeTags(text)}\n</cyrus-repository-prompt>`;
}
