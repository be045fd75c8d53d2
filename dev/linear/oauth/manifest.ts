/**
 * An app manifest: what an application says about itself, so that an admin finds a filled form.
 * Source: linear.app/developers/oauth-app-manifests.
 */
import { z } from 'zod';
import { newClientId, newClientSecret, newWebhookSecret } from './applications.ts';
import { type Application, grantTypeSchema, RESOURCE_TYPES } from './model.ts';

const MOST_REDIRECT_URIS = 32;
const name = z.string().min(2, 'must have at least 2 characters').max(80, 'must have at most 80 characters');
const httpsUrl = z.url({ protocol: /^https$/, error: 'must be an https address' });

export const manifestSchema = z.strictObject({
  $schema: z.string().optional(),
  schemaVersion: z.literal('1.0.0', { error: 'must be "1.0.0"' }),
  distribution: z.enum(['private', 'public']).default('private'),
  display: z
    .strictObject({
      description: z.string().max(1_000, 'must have at most 1000 characters').optional(),
      iconUrl: httpsUrl.optional(),
    })
    .prefault({}),
  developer: z.strictObject({ name }),
  oauth: z.strictObject({
    client_name: name
      .refine((text) => !/linear/i.test(text), { error: 'must not contain "Linear"' })
      .refine((text) => !/https?:\/\//i.test(text), { error: 'must not contain http:// or https://' }),
    client_uri: httpsUrl.optional(),
    redirect_uris: z
      .array(z.url({ protocol: /^https?$/, error: 'must be an http or https address' }))
      .min(1, 'must have at least one address')
      .max(MOST_REDIRECT_URIS, `must have at most ${MOST_REDIRECT_URIS} addresses`)
      .refine((uris) => new Set(uris).size === uris.length, { error: 'must not have an address twice' }),
    grant_types: z.array(grantTypeSchema).min(1, 'must have at least one').default(['authorization_code']),
  }),
  webhook: z
    .strictObject({
      enabled: z.boolean().default(true),
      url: z.string().refine(isReachable, { error: 'must be an https address with a public host' }),
      resourceTypes: z.array(z.enum(RESOURCE_TYPES)).default([]),
    })
    .optional(),
});
/** A manifest that has been checked. */
export type Manifest = z.output<typeof manifestSchema>;

/** @param ownerId the workspace in which it is made. @returns a new application, with secrets of its own */
export function applicationFrom(manifest: Manifest, ownerId: string, createdAt: number): Application {
  const { oauth, webhook } = manifest;
  return {
    clientId: newClientId(),
    clientSecret: newClientSecret(),
    name: oauth.client_name,
    developer: manifest.developer.name,
    description: manifest.display.description ?? null,
    distribution: manifest.distribution,
    ownerId,
    redirectUris: oauth.redirect_uris,
    grantTypes: oauth.grant_types,
    webhook: {
      url: webhook?.enabled ? webhook.url : null,
      secret: newWebhookSecret(),
      resourceTypes: webhook?.resourceTypes ?? [],
    },
    createdAt,
  };
}

/** Reads what is in the address: `manifest=<JSON>`, or each value by its path, `oauth.client_name=…`. */
export function manifestInAddress(query: URLSearchParams): { manifest: unknown } | { problem: string } {
  const json = query.get('manifest');
  if (json === null) return { manifest: manifestOfPaths(query) };
  try {
    return { manifest: JSON.parse(json) };
  } catch {
    return { problem: 'manifest is not JSON' };
  }
}

const LISTS = new Set(['oauth.redirect_uris', 'oauth.grant_types', 'webhook.resourceTypes']);
const SECTIONS = ['display', 'developer', 'oauth', 'webhook'];

/** A list may be repeated or separated by commas. */
function manifestOfPaths(query: URLSearchParams): Record<string, unknown> {
  const manifest: Record<string, unknown> = { schemaVersion: '1.0.0' };
  for (const path of new Set(query.keys())) {
    const [section = '', key] = path.split('.');
    const given = query.getAll(path);
    const value = LISTS.has(path) ? given.flatMap((text) => text.split(',')) : scalarOf(path, given[0] ?? '');
    if (key === undefined) {
      if (section === 'distribution' || section === 'schemaVersion') manifest[section] = value;
    } else if (SECTIONS.includes(section)) {
      manifest[section] = { ...(manifest[section] as object | undefined), [key]: value };
    }
  }
  return manifest;
}

function scalarOf(path: string, text: string): string | boolean {
  return path === 'webhook.enabled' ? text === 'true' : text;
}

/** Here, unlike at Linear, an http address of this machine will do too: that is where a local run listens. */
function isReachable(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname } = new URL(text);
  const isLocal = hostname === 'localhost' || hostname === '127.0.0.1' || hostname === '[::1]';
  if (protocol === 'http:') return isLocal;
  return protocol === 'https:' && !isLocal && !isPrivate(hostname);
}

function isPrivate(hostname: string): boolean {
  return (
    /^(10|127|169\.254|192\.168|172\.(1[6-9]|2\d|3[01]))\./.test(hostname) ||
    /^\[(fc|fd|fe80)/.test(hostname) ||
    /\.(local|localhost|internal)$/.test(hostname) ||
    !hostname.includes('.')
  );
}
