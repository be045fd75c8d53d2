/** What carrying out effects needs of the object around it. */
import type { Config } from '../../config/config.ts';
import { LinearClient } from '../../linear/api/client.ts';
import { sendThrough } from '../../linear/api/send.ts';
import type { CheckpointManifest } from '../../protocol/checkpoint.ts';
import type { PullRequestStatus } from '../../protocol/pull-request.ts';
import type { SecretCopy } from '../../sandbox/server-secret.ts';
import type { Database } from '../../store/database.ts';
import type { EffectResults } from '../lifecycle/model/effect-results.ts';
import type { EffectKind, EffectOf } from '../lifecycle/model/effects.ts';
import type { SessionState } from '../lifecycle/model/state.ts';
import type { Journal } from '../storage/journal.ts';
import type { AssetMemory } from '../storage/uploaded-assets.ts';

/** What an effect may need. `state` is the state at the time of the try. */
export interface Surroundings {
  env: Env;
  config: Config;
  database: Database;
  state: SessionState;
  journal: Journal;
  promptText: (promptId: string) => string | null;
  /** Texts of this session's prompts that hold these words. */
  promptsWith: (words: string) => string[];
  /** The last checkpoint; null if there is none. */
  checkpoint: () => CheckpointManifest | null;
  /** Commit at which the session's branch is on the git host, as far as it was pushed through the gateway; null: nothing was. */
  pushedTip: () => string | null;
  assets: AssetMemory;
  /** Keeps what GitHub says of the pull request for those who look. */
  noteStatus: (status: PullRequestStatus) => void;
  secretCopy: SecretCopy;
}

/**
 * Carries out one effect. It must be safe to do twice: the object can end between the deed and the note of it.
 * @throws LinearError, GitHubError, SandboxError, SetupError, or whatever D1 and R2 throw; `toFailure` sorts them
 */
export type Perform<K extends EffectKind> = (
  effect: EffectOf<K>,
  surroundings: Surroundings,
) => Promise<EffectResults[K]>;

/** Linear's API, by way of the session's workspace. */
export function linearOf({ env, state }: Pick<Surroundings, 'env' | 'state'>): LinearClient {
  return new LinearClient(sendThrough(env, state.workspaceId, state.id));
}

/** Something is missing that only a person can supply; trying again does not help. `hint` says what to do. */
export class SetupError extends Error {
  override readonly name = 'SetupError';
  readonly hint: string;
  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}
