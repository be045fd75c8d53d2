/** Who the commits of a session are by: an account or an address of this deployment's own, never somebody else's. */
import { gitHubApi } from '../../../github/access.ts';
import { type Author, appAuthor } from '../../../github/app-author.ts';
import { DecryptionError } from '../../../store/encryption.ts';
import { findRepository } from '../../../store/workspaces/repositories.ts';
import type { Surroundings } from '../effect-context.ts';

/**
 * The App's bot where the repository is reached by a GitHub App, else what the deployment says (`COMMIT_AUTHOR`), else an
 * address at the deployment's own host. Decided once for a session: by it the session knows its own commits.
 * @throws DatabaseError
 */
export async function commitAuthor({ state, config, database }: Surroundings, fullName: string): Promise<Author> {
  if (state.author) return state.author;
  const own = config.commitAuthor ?? { name: 'Cyrus', email: `cyrus@${new URL(state.origin).hostname}` };
  if (config.commitAuthor || !config.github.app) return own;
  const repository = await findRepository(database, state.workspaceId, fullName).catch((error: unknown) => {
    if (error instanceof DecryptionError) return null;
    throw error;
  });
  const credential = repository?.credential;
  if (!repository || !credential || !('kind' in credential) || credential.kind !== 'github-app') return own;
  return (await appAuthor(config, () => gitHubApi(config, repository))) ?? own;
}
