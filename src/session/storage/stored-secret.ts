/** The copy of a sandbox server's secret in the object's storage: encrypted, and good for the one server that it was kept for. */
import * as z from 'zod';
import type { SecretCopy } from '../../sandbox/server-secret.ts';

const KEY = 'sandbox-secret';
const keptSchema = z.object({ workspaceId: z.string(), fullName: z.string(), url: z.string(), sealed: z.string() });

/** @param kv of the issue session's object */
export function storedSecret(kv: SyncKvStorage): SecretCopy {
  return {
    get: ({ workspaceId, fullName, url }) => {
      const kept = keptSchema.safeParse(kv.get(KEY));
      if (!kept.success) return null;
      const isSame = kept.data.workspaceId === workspaceId && kept.data.fullName === fullName && kept.data.url === url;
      return isSame ? kept.data.sealed : null;
    },
    keep: (server, sealed) => {
      if (sealed === null) kv.delete(KEY);
      else kv.put(KEY, { ...server, sealed });
    },
  };
}
