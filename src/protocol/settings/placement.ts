/** Where the sandboxes of a repository run. */

import * as z from 'zod';
import { withoutEnding } from '../../lib/linear-time.ts';
import { isLoopback } from '../../lib/loopback.ts';

/** How large a container is; what the names mean on Cloudflare is in wrangler.toml and docs/sandboxes.md. */
export const instanceSizeSchema = z.enum(['small', 'standard', 'large']);
export type InstanceSize = z.infer<typeof instanceSizeSchema>;

/** Address of a sandbox server: https, for commands, code and the secret travel over it; http on a loopback host alone. */
export const endpointAddressSchema = z
  .url({ protocol: /^https?$/, error: 'must be an http(s) address', abort: true })
  .refine(isPlain, { error: 'must have no user, password, query or fragment' })
  .refine((url) => url.startsWith('https:') || isLoopback(new URL(url).hostname), {
    error: 'must be https unless it is a loopback address: commands and code travel over it',
  })
  .transform((url) => withoutEnding(url, '/'));

/** A container, or a sandbox server at an address; its secret is stored apart, encrypted. */
export const sandboxChoiceSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('container') }),
  z.object({ kind: z.literal('endpoint'), url: endpointAddressSchema }),
]);

/** Where one session's sandbox runs, decided when it is started. `deployment`: the endpoint that the variables name. */
export type Placement =
  | { kind: 'container'; instance: InstanceSize }
  | { kind: 'deployment' }
  | { kind: 'endpoint'; url: string };

function isPlain(url: string): boolean {
  const { username, password, search, hash } = new URL(url);
  return [username, password, search, hash].every((part) => part === '');
}
