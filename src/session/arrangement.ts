/** What is decided about a session once its repository is known. */
import type { Assignment } from '../claude/roles.ts';
import type { Verbosity } from '../protocol/repository.ts';

/** A Linear user. */
export interface Person {
  id: string;
  email: string | null;
}

/** How the session works in its repository: decided once, from labels and settings. */
export interface Arrangement {
  assignment: Assignment;
  verbosity: Verbosity;
  /** Who may ask; see repositorySettingsSchema. */
  allowedUsers: string[];
  blockedUsers: string[];
  /** Every repository of the workspace, for a changed mind. */
  repositories: string[];
}
