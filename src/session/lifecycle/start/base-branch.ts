/** Which branch a session's work starts from and is proposed to. Pure. */
import type { SessionState } from '../model/state.ts';

/**
 * The branch that the issue names, else the repository's own as it is set now: what an admin corrects counts for sessions
 * that run. One that began before wishes were noted keeps the branch it began with.
 */
export function baseOf(
  { baseWish, baseBranch, arrangement }: Pick<SessionState, 'baseWish' | 'baseBranch' | 'arrangement'>,
  repository: { baseBranch: string },
): { baseBranch: string; baseWish: string | null } {
  // Before anything was decided `baseBranch` is what the answer to "which repository" named.
  const wish = baseWish !== undefined && arrangement !== null ? baseWish : baseBranch;
  return { baseBranch: wish ?? repository.baseBranch, baseWish: wish };
}
