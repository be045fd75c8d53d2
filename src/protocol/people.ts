/** Bodies of the API about people: who is signed in, and what was done by whom. Times are milliseconds since the epoch. */
import * as z from 'zod';

const time = z.number().int().nonnegative();

/** `GET /api/me` */
export const meSchema = z.object({
  /** `local`, `password`: this deployment has one person, without a name. */
  kind: z.string(),
  /** Null: not known. */
  name: z.string().nullable(),
  email: z.string().nullable(),
  /** Sees and may do everything. */
  isOwner: z.boolean(),
  /** `userId`: by which OWNERS and rules name the person there. */
  workspaces: z.array(z.object({ id: z.string(), name: z.string(), userId: z.string(), role: z.string() })),
  /** The sign-in of this browser; null: it is none that can be ended here. */
  signIn: z.string().nullable(),
});
export type Me = z.infer<typeof meSchema>;

/** `GET /api/me/sign-ins`, the one that was used last first. */
export const signInsSchema = z.object({
  signIns: z.array(
    z.object({
      id: z.string(),
      kind: z.string(),
      browser: z.string().nullable(),
      isThis: z.boolean(),
      createdAt: time,
      seenAt: time,
      expiresAt: time,
    }),
  ),
});
export type SignIns = z.infer<typeof signInsSchema>;

/** `POST /api/me/sign-out`. `everywhere`: every browser of this person, in this workspace. */
export const signOutSchema = z.strictObject({ everywhere: z.boolean().default(false) });

/** What a token may be used for; each includes those before it. */
export const tokenScopeSchema = z.enum(['read', 'write', 'admin']);
export type TokenScope = z.infer<typeof tokenScopeSchema>;

/** Longest life of a token, in days. */
const MOST_DAYS = 366;

/** `POST /api/me/tokens` */
export const tokenInputSchema = z.strictObject({
  /** What it is for, in its owner's words. */
  name: z.string().trim().min(1).max(100),
  scope: tokenScopeSchema,
  /** It ends after so many days. */
  days: z.number().int().min(1).max(MOST_DAYS).default(90),
});
export type TokenInput = z.infer<typeof tokenInputSchema>;

const tokenSchema = z.object({
  id: z.string(),
  name: z.string(),
  scope: tokenScopeSchema,
  createdAt: time,
  /** When it was used last; null: never. */
  usedAt: time.nullable(),
  expiresAt: time,
});
export type Token = z.infer<typeof tokenSchema>;

/** The answer to `POST /api/me/tokens`: the one time that the token itself is shown. */
export const newTokenSchema = tokenSchema.extend({ token: z.string() });
export type NewToken = z.infer<typeof newTokenSchema>;

/** `GET /api/me/tokens`, the newest first. */
export const tokensSchema = z.object({ tokens: z.array(tokenSchema) });
export type Tokens = z.infer<typeof tokensSchema>;

/** `GET /api/audit?workspace=ID&before=N`, newest first; `next`: the `before` of the page that follows, left out at the end. */
export const auditPageSchema = z.object({
  entries: z.array(
    z.object({
      id: z.number().int(),
      at: time,
      actor: z.string(),
      action: z.string(),
      workspaceId: z.string().nullable(),
      details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
    }),
  ),
  next: z.number().int().optional(),
});
export type AuditPage = z.infer<typeof auditPageSchema>;
