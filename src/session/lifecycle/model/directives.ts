/** What is decided about a session once its repository is known. */
import type { Assignment } from '../../../claude/roles.ts';
import type { Egress } from '../../../protocol/settings/egress.ts';
import type { Placement } from '../../../protocol/settings/placement.ts';
import type { Effort, Verbosity } from '../../../protocol/settings/repository.ts';

/** Somebody who asks in Linear. `id`: of the user, or `automation` if nobody is named (see admission.ts). */
export interface Person {
  id: string;
  email: string | null;
  /** Left out where Linear did not return the issue, and by older versions. */
  name?: string;
  /** No member of the workspace. */
  outside?: true;
}

/** How the session works in its repository: decided once, from labels and settings. */
export interface Arrangement {
  assignment: Assignment;
  verbosity: Verbosity;
  /** The model that people wished for in the issue or a comment; left out: none, and labels and settings decide. */
  wished?: string;
  /** The effort that they wished for, likewise. */
  wishedEffort?: Effort;
  /** Where the sandbox was last started, and what it may reach; left out before that was noted. */
  placement?: Placement;
  egress?: Egress;
  /** Every repository of the workspace, for a changed mind. */
  repositories: string[];
}
