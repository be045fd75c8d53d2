/**
 * What the simulator knows of OAuth, as plain data: zod schemas, because it also comes back from a file. Times are epoch
 * milliseconds on the simulator's clock.
 */
import { z } from 'zod';

const time = z.number();

/** Kinds of webhook an application may subscribe to (linear.app/developers/oauth-app-manifests). */
export const RESOURCE_TYPES = [
  'AgentSessionEvent',
  'AppUserNotification',
  'Attachment',
  'Comment',
  'Customer',
  'CustomerNeed',
  'Cycle',
  'Document',
  'Initiative',
  'InitiativeUpdate',
  'Issue',
  'IssueLabel',
  'IssueSLA',
  'OAuthAuthorization',
  'PermissionChange',
  'Project',
  'ProjectLabel',
  'ProjectUpdate',
  'Reaction',
  'Release',
  'ReleaseNote',
  'User',
] as const;
export type ResourceType = (typeof RESOURCE_TYPES)[number];

/** What a token may be asked to allow (linear.app/developers/oauth-2-0-authentication, "Scopes"), in words for the consent page. */
export const SCOPES = {
  read: 'Read all data of the workspace',
  write: 'Change all data of the workspace',
  'issues:create': 'Create issues and their attachments',
  'comments:create': 'Create comments',
  'timeSchedule:write': 'Create and change time schedules',
  admin: 'Administer the workspace',
  'app:assignable': 'Be given issues to work on, and be a member of projects',
  'app:mentionable': 'Be mentioned in issues, documents and comments',
  'customer:read': 'Read customers',
  'customer:write': 'Change customers',
  'initiative:read': 'Read initiatives',
  'initiative:write': 'Change initiatives',
} as const satisfies Record<string, string>;
const scopeSchema = z.enum(Object.keys(SCOPES) as [Scope, ...Scope[]]);
export type Scope = keyof typeof SCOPES;

/** What an application for an agent needs. */
export const AGENT_SCOPES: readonly Scope[] = ['read', 'write', 'app:assignable', 'app:mentionable'];

/** @returns whether Linear has a scope of this name */
export function isScope(name: string): name is Scope {
  return Object.hasOwn(SCOPES, name);
}

export const grantTypeSchema = z.enum(['authorization_code', 'client_credentials']);

/** An OAuth application, as a developer registered it. */
export const applicationSchema = z.object({
  clientId: z.string(),
  clientSecret: z.string(),
  name: z.string(),
  developer: z.string(),
  description: z.string().nullable(),
  /** Private: only for the workspace it was made in. */
  distribution: z.enum(['private', 'public']),
  /** The workspace it was made in. */
  ownerId: z.string(),
  redirectUris: z.array(z.string()),
  grantTypes: z.array(grantTypeSchema),
  webhook: z.object({
    /** Null: nothing is sent. */
    url: z.string().nullable(),
    /** Signs what is sent. */
    secret: z.string(),
    resourceTypes: z.array(z.enum(RESOURCE_TYPES)),
  }),
  createdAt: time,
});
export type Application = z.infer<typeof applicationSchema>;

/** An application in a workspace: there it has a user and a webhook. A workspace of the simulator has at most one. */
export const installationSchema = z.object({
  workspaceId: z.string(),
  clientId: z.string(),
  /** Of the subscription; the same in every event. */
  webhookId: z.string(),
  scopes: z.array(scopeSchema),
  /** Ids of the teams the application may see; null: all. */
  teamIds: z.array(z.string()).nullable(),
});
export type Installation = z.infer<typeof installationSchema>;

/** What a person, or the application for itself, allowed. */
export const authorizationSchema = z.object({
  id: z.string(),
  clientId: z.string(),
  workspaceId: z.string(),
  actor: z.enum(['user', 'app']),
  /** Whom it acts for; null: the application, or the person at the page. */
  userId: z.string().nullable().default(null),
  scopes: z.array(scopeSchema),
  via: grantTypeSchema,
  /** Made with PKCE and without the secret, so that it may also be refreshed without. */
  publicClient: z.boolean(),
  createdAt: time,
});
export type Authorization = z.infer<typeof authorizationSchema>;

export const accessTokenSchema = z.object({ token: z.string(), authorizationId: z.string(), expiresAt: time });
export type AccessToken = z.infer<typeof accessTokenSchema>;

export const refreshTokenSchema = z.object({
  token: z.string(),
  authorizationId: z.string(),
  /** The pair it was exchanged for; null: not yet. */
  rotated: z.object({ at: time, accessToken: z.string(), refreshToken: z.string() }).nullable(),
});
export type RefreshToken = z.infer<typeof refreshTokenSchema>;

/** All of it, as it is saved. */
export const oauthDataSchema = z.object({
  applications: z.array(applicationSchema),
  installations: z.array(installationSchema),
  authorizations: z.array(authorizationSchema),
  accessTokens: z.array(accessTokenSchema),
  refreshTokens: z.array(refreshTokenSchema),
});
export type OauthData = z.infer<typeof oauthDataSchema>;
