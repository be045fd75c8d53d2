/** What a session must know after a restart of the server, in `session.json` (mode 0600); the session token is sealed in it. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { startSessionSchema } from '../../src/protocol/sandbox/start.ts';
import { openToken, sealToken } from '../gateway/sealed-token.ts';
import type { SessionPaths } from '../paths.ts';

const recordSchema = z.object({
  start: startSessionSchema,
  streamId: z.uuid(),
  /** No more processes for this generation: deleted, or superseded. */
  closed: z.boolean(),
  /** Why preparations ended for good, if they did. */
  failed: z.boolean(),
  /** Commit the branch was at when this generation was prepared; null before. */
  baseCommit: z.string().nullable(),
  /** Commit of the last save, of any generation. */
  savedHead: z.string().nullable(),
  /** How the setup script ended in this worktree; null before it ran. */
  setup: z.object({ ok: z.boolean(), summary: z.string() }).nullable(),
  /** What the session knows of its branch on the host (container/save/branch-catch-up.ts). Absent until the branch was read for the first time. */
  branch: z
    .object({
      tip: z.string().nullable().optional(),
      unmerged: z.string().optional(),
      taken: z.string().optional(),
      base: z.string().optional(),
      beside: z.array(z.string()).optional(),
    })
    .optional(),
  /** The branch's name, if the wanted name was not free. */
  branchName: z.string().optional(),
  /** What Claude is to be told along with its next prompt. */
  notes: z.array(z.string()).optional(),
  /** Advice that Claude had already, so that it is not told with every turn. */
  told: z.array(z.string()).optional(),
});
export type SessionRecord = z.infer<typeof recordSchema>;

/** @param secret of this server. @returns null when there is none or it cannot be understood */
export async function readRecord(paths: SessionPaths, secret: string | null): Promise<SessionRecord | null> {
  const text = await readFile(paths.record, 'utf8').catch(() => null);
  if (text === null) return null;
  try {
    const parsed = recordSchema.safeParse(JSON.parse(text));
    if (!parsed.success) return null;
    const { gateway } = parsed.data.start;
    gateway.token = openToken(gateway.token, secret, paths.dir);
    return parsed.data;
  } catch {
    return null;
  }
}

/** Replaces the file as a whole: a crash leaves the old or the new one. @param secret of this server */
export async function writeRecord(paths: SessionPaths, record: SessionRecord, secret: string | null): Promise<void> {
  const temporary = `${paths.record}.new`;
  const { gateway } = record.start;
  const sealed = { ...gateway, token: sealToken(gateway.token, secret, paths.dir) };
  const kept: SessionRecord = { ...record, start: { ...record.start, gateway: sealed } };
  await writeFile(temporary, JSON.stringify(kept), { mode: 0o600 });
  await rename(temporary, paths.record);
}
