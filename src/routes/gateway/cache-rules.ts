/**
 * What may be kept for sessions to come. It is run or unpacked by others, so it counts only for the branch that they start
 * from, at a commit which the git host itself says to be on that branch.
 */
import type { Config } from '../../config/config.ts';
import type { Fetch } from '../../gateway/forwarding.ts';
import { isOnBranch } from '../../gateway/git/ancestry.ts';
import type { Remotes } from '../../gateway/git/remotes.ts';
import type { Standing } from '../../gateway/openings.ts';
import type { Claims } from '../../gateway/token.ts';
import { sha256 } from '../../lib/hex.ts';
import type { Refusal } from '../../protocol/sandbox/batches.ts';

/** Who wants something kept, and by what that is judged. */
export interface CacheGround {
  env: Env;
  config: Config;
  claims: Claims;
  remotes: Remotes;
  fetcher: Fetch;
  standing: () => Promise<Standing>;
}

/**
 * Why an entry is not kept; null if it is.
 * @param commit that it is said to be made of
 * @throws NotMigratedError, DatabaseError
 */
export async function whyNotKept(entry: string, commit: string, ground: CacheGround): Promise<Refusal | null> {
  const { env, config, claims, remotes, fetcher } = ground;
  const [{ baseBranch }, configured] = await Promise.all([
    ground.standing(),
    remotes.baseBranch(env.DB, config, claims),
  ]);
  if (baseBranch === null || configured === null) {
    return { error: 'no_base', message: 'the branch that this session starts from is unknown' };
  }
  const isSetup = entry.startsWith('setup-');
  if (isSetup && baseBranch !== configured) {
    const message = `the result of a setup script is cached only for the base branch ${configured} , and this session starts from ${baseBranch}`;
    return { error: 'another_base', message };
  }
  if (!isSetup && entry !== `base-${await sha256(`${claims.i}\0${baseBranch}`)}`) {
    return { error: 'another_base', message: `this session caches a bundle of ${baseBranch} only` };
  }
  const remote = await remotes.find(env.DB, config, claims);
  if ('status' in remote) return { error: 'no_host', message: remote.message };
  if (await isOnBranch(commit, baseBranch, claims, remote, fetcher)) return null;
  return { error: 'unknown_commit', message: `the git host does not have ${commit} on ${baseBranch}` };
}
