/**
 * The secret of a sandbox server that a repository names. The database has it; the session keeps a copy, encrypted as it is there,
 * so that a stop or an answer reaches the server also while the database is away.
 */

import { asError } from '../lib/error.ts';
import { settledWithin } from '../lib/timeout.ts';
import { log } from '../observability/log.ts';
import type { Database } from '../store/database.ts';
import { findSealedSandboxSecret, openSandboxSecret, type SandboxServer } from '../store/sandbox-secrets.ts';

/** A database that has not answered after so long, in ms, is away for a command: people wait for it. */
const DATABASE_LIMIT_MS = 1_500;

/** The copy that a session keeps, of the one server that it was started on. */
export interface SecretCopy {
  /** What was kept for this server; null: nothing. */
  get: (server: SandboxServer) => string | null;
  /** Keeps it in the place of what was kept before; null forgets it. */
  keep: (server: SandboxServer, sealed: string | null) => void;
}

/**
 * The secret as the database has it; where the database fails or does not answer in time, as it was when it was last asked.
 * @returns null if none is stored for this address
 * @throws DatabaseError if there is no copy either; DecryptionError
 */
export async function findServerSecret(
  database: Database,
  copy: SecretCopy,
  server: SandboxServer,
): Promise<string | null> {
  const sealed = await findSealed(database, copy, server);
  return sealed === null ? null : openSandboxSecret(database, server, sealed);
}

async function findSealed(database: Database, copy: SecretCopy, server: SandboxServer): Promise<string | null> {
  const kept = copy.get(server);
  const asking = findSealedSandboxSecret(database, server).then((sealed) => ({ sealed }));
  if (kept === null) {
    const { sealed } = await asking;
    if (sealed !== null) copy.keep(server, sealed);
    return sealed;
  }
  try {
    const found = await settledWithin(DATABASE_LIMIT_MS, asking);
    if (found === 'late') {
      // Nobody waits for it any more.
      asking.catch(() => {});
      return kept;
    }
    if (found.sealed !== kept) copy.keep(server, found.sealed);
    return found.sealed;
  } catch (error) {
    log('sandbox.secret_copy.used', { url: server.url, error: asError(error) });
    return kept;
  }
}
