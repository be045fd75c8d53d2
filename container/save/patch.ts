/** The patch of a branch, which the gateway keeps for the page: made in a file, then sent. */
import { createWriteStream, openAsBlob } from 'node:fs';
import { messageOf } from '../../src/lib/error.ts';
import { pause, steadyNow } from '../clock.ts';
import { rm } from '../files/inside.ts';
import { complaint, GitError, git } from '../git/git.ts';
import { inWorktree, type WorkspacePlan } from '../git/workspace-plan.ts';
import { safeDiff } from './branch-changes.ts';
import { RETRY_LIMIT_MS } from './push.ts';

const MAX_PATCH_BYTES = 20 * 1024 * 1024;
const PATCH_TIMEOUT_MS = 60_000;

/**
 * Makes the patch from one commit to another and stores it at `{gateway}/patch/{head}`.
 * @param path file that it is made in, and which is deleted at the end
 * @param pauses before further attempts, in ms; if there are none it is tried once
 * @returns its size; null, with the reason as text for users, if it is not stored
 */
export async function storePatch(
  plan: WorkspacePlan,
  from: string,
  head: string,
  path: string,
  pauses: number[],
): Promise<{ bytes: number | null; problem: string | null }> {
  try {
    const bytes = await writePatch(plan, from, head, path);
    const until = steadyNow() + RETRY_LIMIT_MS;
    for (let attempt = 0; ; attempt++) {
      const refusal = await putPatch(plan, head, path);
      if (refusal === null) return { bytes, problem: null };
      const wait = pauses[attempt];
      if (!refusal.retry || wait === undefined || plan.signal.aborted || steadyNow() > until) {
        return { bytes: null, problem: `The patch could not be stored: ${refusal.problem}` };
      }
      await pause(wait, plan.signal);
    }
  } catch (error) {
    if (error instanceof GitError && error.tooLarge) {
      return {
        bytes: null,
        problem: `The patch is larger than ${MAX_PATCH_BYTES / 1024 / 1024} MiB and was not stored.`,
      };
    }
    if (error instanceof GitError) return { bytes: null, problem: `The patch could not be made: ${complaint(error)}` };
    throw error;
  } finally {
    await rm(path, { force: true });
  }
}

/** The patch goes through a file: its size must be known before it is sent, and it may be large. */
async function writePatch(plan: WorkspacePlan, from: string, head: string, path: string): Promise<number> {
  const file = createWriteStream(path, { mode: 0o600 });
  const failed = new Promise<never>((_, reject) => file.on('error', reject));
  const args = [
    'diff',
    '--binary',
    '--full-index',
    ...safeDiff,
    '--src-prefix=a/',
    '--dst-prefix=b/',
    from,
    head,
    '--',
  ];
  const made = git(args, {
    ...inWorktree(plan),
    maxBytes: MAX_PATCH_BYTES,
    timeoutMs: PATCH_TIMEOUT_MS,
    onData: (chunk) => file.write(chunk),
  });
  try {
    await Promise.race([made, failed]);
  } finally {
    await new Promise((done) => file.end(done));
  }
  return file.bytesWritten;
}

async function putPatch(
  plan: WorkspacePlan,
  head: string,
  path: string,
): Promise<{ problem: string; retry: boolean } | null> {
  try {
    const answer = await fetch(`${plan.remote.gatewayUrl}/patch/${head}`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${plan.remote.token}`, 'content-type': 'text/x-diff' },
      body: await openAsBlob(path),
      redirect: 'error',
      signal: AbortSignal.any([plan.signal, AbortSignal.timeout(PATCH_TIMEOUT_MS)]),
    });
    const text = (await answer.text()).slice(0, 300);
    // 409: it is there from when this was the head before.
    if (answer.ok || answer.status === 409) return null;
    return {
      problem: `the gateway answered ${answer.status} ${text}`,
      retry: answer.status >= 500 || answer.status === 429,
    };
  } catch (error) {
    return { problem: messageOf(error), retry: true };
  }
}
