/** Whether the credential of each repository may push there: the git host is asked what `git push` asks first. Nothing is pushed. */
import type { Config } from '../../config/config.ts';
import { basicCredential, refusalOfHost } from '../../gateway/git/host.ts';
import { gitAccess } from '../../github/access.ts';
import { GitHubError } from '../../github/errors.ts';
import { messageOf } from '../../lib/error.ts';
import { withoutEnding } from '../../lib/linear-time.ts';
import { withTimeout } from '../../lib/timeout.ts';
import { bad, type Finding, good, warn } from '../../protocol/doctor.ts';
import type { Database } from '../../store/database.ts';
import { DecryptionError } from '../../store/encryption.ts';
import { findRepository, type RepositorySummary } from '../../store/workspaces/repositories.ts';

const LIMIT_MS = 10_000;
/** A host with many branches lists them all; the base branch is looked for in as much. */
const MOST_BYTES = 4 * 1024 * 1024;

/** @throws NotMigratedError, DatabaseError */
export async function repositoryFinding(
  config: Config,
  database: Database,
  about: RepositorySummary,
): Promise<Finding> {
  const name = `git ${about.fullName}`;
  const again = `Store the credential again: npm run repositories -- set ${about.fullName} --credential KIND`;
  try {
    const repository = await findRepository(database, about.workspaceId, about.fullName);
    if (!repository) return warn(name, 'It was removed while this was looked at', 'Run the doctor again.');
    const { credential } = await gitAccess(config, repository);
    const response = await askForPush(repository.cloneUrl, credential);
    if (!response.ok) {
      await response.body?.cancel();
      if (response.status === 401 && credential === null) {
        return bad(name, 'The git host wants a credential, and none is stored', again);
      }
      const { message } = refusalOfHost(response, '', about.fullName);
      return response.status >= 500
        ? warn(name, message, 'Look at the git host and try again.')
        : bad(name, message, again);
    }
    const list = await readSome(response);
    if (!hasBranch(list.text, about.baseBranch) && !list.isCut) {
      return bad(
        name,
        `The credential may push, and there is no branch ${about.baseBranch} to begin from`,
        `Set the right one: npm run repositories -- set ${about.fullName} --base-branch NAME`,
      );
    }
    return good(name, `The credential may push, and the branch ${about.baseBranch} is there`);
  } catch (error) {
    if (error instanceof DecryptionError) return bad(name, error.message, again);
    if (error instanceof GitHubError) {
      const words = error.message;
      const remedy = error.hint ?? 'Look at githubstatus.com and try again.';
      return error.retryable ? warn(name, words, remedy) : bad(name, words, remedy);
    }
    if (error instanceof TypeError || error instanceof DOMException) {
      return warn(name, `The git host cannot be reached: ${messageOf(error)}`, 'Look at the git host and try again.');
    }
    throw error;
  }
}

/** What `git push` sends first (git-scm.com/docs/http-protocol, "Smart Service git-receive-pack"). */
async function askForPush(cloneUrl: string, credential: { username: string; password: string } | null) {
  const headers = new Headers({ 'user-agent': 'git/2 (cyrus doctor)' });
  if (credential) headers.set('authorization', `Basic ${basicCredential(credential)}`);
  const url = `${withoutEnding(cloneUrl, '/')}/info/refs?service=git-receive-pack`;
  return withTimeout(LIMIT_MS, (signal) => fetch(url, { headers, redirect: 'manual', signal }));
}

async function readSome(response: Response): Promise<{ text: string; isCut: boolean }> {
  const reader = response.body?.getReader();
  if (!reader) return { text: '', isCut: false };
  const decoder = new TextDecoder();
  let text = '';
  for (let bytes = 0; ; ) {
    const { done, value } = await reader.read();
    if (done) return { text, isCut: false };
    bytes += value.length;
    text += decoder.decode(value, { stream: true });
    if (bytes < MOST_BYTES) continue;
    await reader.cancel();
    return { text, isCut: true };
  }
}

/** A line of the list ends with its branch's name; the first one goes on with what the host can do. */
function hasBranch(list: string, branch: string): boolean {
  return ['\n', '\0'].some((end) => list.includes(` refs/heads/${branch}${end}`));
}
