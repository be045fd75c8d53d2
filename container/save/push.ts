/** Pushes the session's branch, and tells what a refusal means: who can do something about it, and whether it passes. */
import { type HeldPush, readHeldMark } from '../../src/protocol/held-push.ts';
import { pause, steadyNow } from '../clock.ts';
import { complaint, GitError, git, refusedRefs, remoteFailure } from '../git/git.ts';
import { inWorktree, type WorkspacePlan } from '../git/workspace-plan.ts';
import { log } from '../log.ts';

const PUSH_TIMEOUT_MS = 10 * 60_000;
export const RETRY_PAUSES_MS = [500, 2_000, 6_000];
/** After this long the failure is reported, so that the end of the turn is not held up. */
export const RETRY_LIMIT_MS = 60_000;
/** Most characters of a host's refusal that are told. A list of found secrets, with what to do about them, fits. */
const MAX_REFUSAL = 4_000;

/** The gateway has to read what a push changes, and reads no deltas: it says so by naming this option. */
const WANTS_WHOLE = 'pack.depth=0 push --no-thin';
const WHOLE_OBJECTS = ['-c', 'pack.window=0', '-c', 'pack.depth=0'];

/** Why a push failed. */
export interface PushFailure {
  /** For people, with the host's own words. */
  problem: string;
  /** Claude can do something about it. */
  isForClaude: boolean;
  /** It may succeed later as it is. */
  retry: boolean;
  /** Somebody else pushed at the same moment. */
  stale: boolean;
  /** A person has to allow it first: what the gateway names. */
  held?: Pick<HeldPush, 'files' | 'fingerprint'>;
}

/**
 * Pushes a commit to the session's branch. The lease names the commit that was found on the host and judged; who pushes at the
 * same moment wins.
 * @param onHost null: there is no such branch
 * @returns null if it is on the host. @throws what is no failure of git's
 */
export async function push(plan: WorkspacePlan, head: string, onHost: string | null): Promise<PushFailure | null> {
  const ref = `refs/heads/${plan.branch}`;
  const lease = `--force-with-lease=${ref}:${onHost ?? ''}`;
  const until = steadyNow() + RETRY_LIMIT_MS;
  let whole: string[] = [];
  for (let attempt = 0; ; attempt++) {
    try {
      const args = [
        ...whole,
        'push',
        '--porcelain',
        '--no-verify',
        '--no-thin',
        lease,
        plan.remote.url,
        `${head}:${ref}`,
      ];
      if (whole.length === 0) args.splice(args.indexOf('--no-thin'), 1);
      await git(args, { ...inWorktree(plan), timeoutMs: PUSH_TIMEOUT_MS });
      await git(['update-ref', `refs/remotes/origin/${plan.branch}`, head], inWorktree(plan));
      return null;
    } catch (error) {
      if (!(error instanceof GitError)) throw error;
      if (whole.length === 0 && refusedRefs(error).some((reason) => reason.includes(WANTS_WHOLE))) {
        whole = WHOLE_OBJECTS;
        continue;
      }
      const failure = pushFailure(plan.branch, error);
      log('save.push.failed', { attempt: attempt + 1, retry: failure.retry, complaint: complaint(error) });
      const wait = RETRY_PAUSES_MS[attempt];
      if (failure.retry && !failure.stale && wait !== undefined && !plan.signal.aborted && steadyNow() < until) {
        await pause(wait * (0.75 + Math.random() / 2), plan.signal);
        continue;
      }
      return failure;
    }
  }
}

/** A fault of the host's own, or the gateway's word that it cannot reach the host: the same push may succeed a moment later. */
const PASSING =
  /^(?:internal server error|service unavailable|Cyrus: .*\b(?:try again|closed the connection|broke off)\b.*)$/i;

/** What a failed push means. Pure. @param error of `git push --porcelain` */
export function pushFailure(branch: string, error: GitError): PushFailure {
  const failure = remoteFailure(error);
  const passing = { isForClaude: false, retry: failure === 'network', stale: false };
  const [rejected] = refusedRefs(error);
  if (isOvertaken(error, rejected)) {
    const problem = `${branch} was not pushed: somebody else has just changed it on the git host.`;
    return { problem, isForClaude: false, retry: true, stale: true };
  }
  const held = rejected === undefined ? null : readHeldMark(rejected);
  if (held !== null) {
    const problem = `${branch} was not pushed: it changes what runs on the git host (${held.files.join(', ')}), which a person has to allow first. The work is kept here. Undo these changes if they are not needed.`;
    return { ...passing, retry: false, problem, isForClaude: true, held };
  }
  const said = rejected === undefined ? complaint(error) : [rejected, ...remoteText(error)].join(' · ');
  if (failure === 'network') {
    return { ...passing, problem: `${branch} was not pushed: the git host could not be reached (${said}).` };
  }
  const problem = `${branch} was not pushed, the git host refused: ${[...said].slice(0, MAX_REFUSAL).join('')}`;
  if (rejected !== undefined && PASSING.test(rejected)) return { ...passing, problem, retry: true };
  return { ...passing, problem, isForClaude: failure === 'other' };
}

/** Somebody pushed between the look at the host and this push: git's own words for that, not those of the host's hooks. */
function isOvertaken({ stdout, stderr }: GitError, rejected: string | undefined): boolean {
  if (/^!\t[^\t]*\t\[rejected\] \((?:stale info|fetch first)\)$/m.test(stdout)) return true;
  if (rejected === undefined) return false;
  const ofLock = /cannot lock ref '[^'\n]*': (?:is at [\da-f]{7,64} but expected|reference already exists)/;
  return ofLock.test(rejected) || ofLock.test(stderr) || rejected === 'reference already exists';
}

function remoteText(error: GitError): string[] {
  return error.stderr
    .split(/[\r\n]+/)
    .filter((line) => line.startsWith('remote:'))
    .map((line) => line.slice(7).trim())
    .filter((line) => line !== '');
}
