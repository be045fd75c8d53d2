/** What the Claude account keeps from one life of its object to the next. Never a token. */
import * as z from 'zod';
import { windowsSchema } from '../../claude-quota/windows.ts';

const tokenSchema = z.object({
  windows: windowsSchema.nullable(),
  problem: z
    .object({ fingerprint: z.string(), message: z.string(), since: z.number(), triedAt: z.number() })
    .nullable(),
});

export const accountStateSchema = z.object({
  /** By the token's name. */
  tokens: z.record(z.string(), tokenSchema),
  /** Which token a session uses, and since when; by the session's object id. */
  assigned: z.record(z.string(), z.object({ token: z.string(), at: z.number() })),
});
export type AccountState = z.infer<typeof accountStateSchema>;
