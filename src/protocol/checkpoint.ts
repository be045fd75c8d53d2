/**
 * A checkpoint: what a session's work consists of at a moment, kept outside of its sandbox. The worktree is a git commit,
 * shipped in bundles of which each holds what those before it and the git host do not have; Claude's conversation is the
 * CLI's own files, shipped in parts. The manifest says what belongs together.
 */
import * as z from 'zod';

/** Largest object of a checkpoint, in bytes: requests to a Worker have at most 100 MB on the smaller plans. */
export const MAX_CHECKPOINT_OBJECT_BYTES = 90 * 1024 * 1024;

const commit = z.string().regex(/^[0-9a-f]{40,64}$/);
const digest = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.number().int().nonnegative();

/** Names of objects: a number of the sandbox's own choice in front, something random behind. */
export const checkpointObjectName = z.string().regex(/^[0-9]{8}-[0-9a-f]{8}\.(bundle|part)$/);

/** A stored object. `bytes` and `sha256` are those of the object as stored. */
export const checkpointObjectSchema = z.object({ name: checkpointObjectName, bytes: count, sha256: digest });
export type CheckpointObject = z.infer<typeof checkpointObjectSchema>;

/** A file of Claude's: its parts, each compressed with gzip, in their order. */
export const checkpointFileSchema = z.object({
  /** Below Claude's configuration directory, with slashes, without `.` and `..`. */
  path: z
    .string()
    .max(500)
    .regex(/^projects(\/(?!\.\.?(\/|$))[^/\0]+)+$/),
  /** Size and digest of the whole file. */
  bytes: count,
  sha256: digest,
  parts: z.array(checkpointObjectSchema).max(64),
});
export type CheckpointFile = z.infer<typeof checkpointFileSchema>;

/** What `PUT {gateway}/checkpoint` takes, and a start brings to a sandbox that is to restore it. */
export const checkpointManifestSchema = z.object({
  version: z.literal(1),
  /** The life that made it, and which of its checkpoints it is; its objects lie under the generation. */
  generation: z.number().int().positive(),
  sequence: z.number().int().positive(),
  /** Milliseconds since the epoch, as far as a date can hold them. */
  at: count.max(8.64e15),
  conversationId: z.uuid(),
  repository: z.string().min(1),
  branch: z.string().min(1),
  /** Last event of the life's stream that it comprises; the issue session has stored it. */
  eventSeq: count,
  /** Prompts that Claude's files hold, the last ones at least: they are not asked again. */
  prompts: z.array(z.uuid()).max(1_000),
  worktree: z.object({
    /** Everything in the worktree: tracked, changed, untracked; not what git ignores. */
    commit,
    /** What was staged. */
    index: commit,
    /** Where HEAD was, and the branch it was on; null when it was detached. */
    head: commit,
    headRef: z.string().max(500).nullable(),
    /** Where the session's own branch was. */
    branchHead: commit,
    /** In the order in which they build on each other; none when the git host has everything. */
    bundles: z.array(checkpointObjectSchema).max(64),
    /** Files that were too large to be kept. */
    skipped: z.array(z.string().max(1_000)).max(100),
  }),
  files: z.array(checkpointFileSchema).max(500),
  /** Objects that hold many small files of Claude's each, in their order; a later one's file replaces an earlier one's. */
  packs: z.array(checkpointObjectSchema).max(64).optional(),
  /**
   * The life has taken up what was kept before it, or has completed a turn: what earlier lives stored may go. Left out by a
   * sandbox server before this was known.
   */
  settled: z.boolean().optional(),
});
export type CheckpointManifest = z.infer<typeof checkpointManifestSchema>;

/** 409: there is a newer checkpoint already; the next one needs a number above `sequence`. */
export const staleCheckpointSchema = z.object({
  error: z.literal('stale'),
  message: z.string(),
  sequence: count,
});

/** Every object that a manifest refers to. */
export function checkpointObjects(manifest: CheckpointManifest): CheckpointObject[] {
  const parts = manifest.files.flatMap((file) => file.parts);
  return [...manifest.worktree.bundles, ...parts, ...(manifest.packs ?? [])];
}
