/** What carrying out effects needs of the object around it. */
import type { Config } from '../../config.ts';
import type { CheckpointManifest } from '../../protocol/checkpoint.ts';
import type { SecretCopy } from '../../sandbox/server-secret.ts';
import type { Database } from '../../store/database.ts';
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
  /** Commit at which the session's branch stands on the git host, as far as it was pushed through the gateway; null: nothing was. */
  pushedTip: () => string | null;
  assets: AssetMemory;
  secretCopy: SecretCopy;
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
