/** How long things are kept: variables in days, each of which may be a setting. */
import * as z from 'zod';

const DAY_MS = 24 * 3_600_000;
const MOST_DAYS = 36_500;
const WRONG_DAYS = `must be a whole number of days from 0 to ${MOST_DAYS}; 0 keeps it forever`;

const isDays = (value: number) => Number.isInteger(value) && value >= 0 && value <= MOST_DAYS;

/** 0: forever. */
const days = (usual: number) =>
  z
    .union([z.literal('').transform(() => usual), z.coerce.number(WRONG_DAYS).refine(isDays, WRONG_DAYS)], WRONG_DAYS)
    .default(usual)
    .transform((count) => (count === 0 ? null : count * DAY_MS));

/** The variables, by what they are about, with their defaults. */
export const retentionVariables = {
  RETENTION_CHECKPOINT_DAYS: days(30),
  RETENTION_EGRESS_DAYS: days(30),
  RETENTION_PATCH_DAYS: days(180),
  RETENTION_LOG_DAYS: days(365),
  RETENTION_SESSION_DAYS: days(365),
  RETENTION_USAGE_DAYS: days(400),
  RETENTION_AUDIT_DAYS: days(400),
};

/** In ms; null: forever. What belongs to a session is counted from the end of its last turn, and nothing of it outlives the session. */
export interface Retention {
  /** From which a session continues in its conversation. */
  checkpoints: number | null;
  /** The log of requests that left the sandbox. */
  egress: number | null;
  /** Patches, and files that Claude shared. */
  patches: number | null;
  /** The logs of turns in the bucket. */
  logs: number | null;
  /** Everything else: journal, row of the list, the object itself. */
  sessions: number | null;
  /** Sums of Claude's use. */
  usage: number | null;
  /** Lines of the audit log. */
  audit: number | null;
}

/** @param variables as the schema above has read them */
export function readRetention(
  variables: {
    [Name in keyof typeof retentionVariables]: z.infer<(typeof retentionVariables)[Name]>;
  },
): Retention {
  return {
    checkpoints: variables.RETENTION_CHECKPOINT_DAYS,
    egress: variables.RETENTION_EGRESS_DAYS,
    patches: variables.RETENTION_PATCH_DAYS,
    logs: variables.RETENTION_LOG_DAYS,
    sessions: variables.RETENTION_SESSION_DAYS,
    usage: variables.RETENTION_USAGE_DAYS,
    audit: variables.RETENTION_AUDIT_DAYS,
  };
}
