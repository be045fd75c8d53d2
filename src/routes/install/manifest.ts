/**
 * The link to Linear's form for a new application, filled in (https://linear.app/developers/oauth-app-manifests). A manifest
 * holds no scopes and no secrets: scopes are asked for at /oauth/authorize, secrets are copied back by hand.
 */
import type { Config } from '../../config/config.ts';

/** Events that Cyrus acts on. `OAuthAuthorization` also tells that the app was removed. */
const RESOURCE_TYPES = ['AgentSessionEvent', 'AppUserNotification', 'PermissionChange', 'OAuthAuthorization', 'Issue'];

/** Whether Linear would take this deployment's webhook: it asks for https. A simulator of Linear on this machine does not. */
export function takesWebhooks(config: Config, redirectUri: string): boolean {
  return redirectUri.startsWith('https:') || config.linear.app.authorizeUrl.startsWith('http:');
}

/** @param redirectUri the callback's address on this deployment; where Linear would not take its webhook, that is left out */
export function manifestLink(config: Config, redirectUri: string): string {
  const { authorizeUrl, clientCredentials } = config.linear.app;
  const { origin } = new URL(redirectUri);
  const manifest = {
    $schema: 'https://linear.app/.well-known/oauth-app-manifest.schema.json',
    schemaVersion: '1.0.0',
    distribution: 'private',
    display: { description: 'Works on issues with Claude Code, in sandboxes of your own Cloudflare account.' },
    developer: { name: 'Cyrus' },
    oauth: {
      client_name: 'Cyrus',
      ...(origin.startsWith('https:') && { client_uri: origin }),
      redirect_uris: [redirectUri],
      grant_types: ['authorization_code', ...(clientCredentials ? ['client_credentials'] : [])],
    },
    ...(takesWebhooks(config, redirectUri) && {
      webhook: { enabled: true, url: `${origin}/webhooks/linear`, resourceTypes: RESOURCE_TYPES },
    }),
  };
  const url = new URL('/settings/api/applications/new', authorizeUrl);
  url.searchParams.set('manifest', JSON.stringify(manifest));
  return url.href;
}
