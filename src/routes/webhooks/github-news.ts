/** Tells issue sessions that GitHub has news of their pull requests. */
import type { Config } from '../../config/config.ts';
import { gitHubHost } from '../../github/address.ts';
import type { PullRequestNews } from '../../github/webhooks/webhook.ts';
import { openDatabase } from '../../store/database.ts';
import { findPullRequests } from '../../store/pull-requests.ts';
import { stubOf } from '../middleware/needs.ts';

/**
 * Every session whose pull request has the news takes them in, once for each delivery. Which sessions these are is known from what
 * Cyrus recorded when it opened a pull request, and from nothing else: a fork's pull request that names the same branch finds none.
 * @param deliveryId the same in each repeat of the delivery
 * @returns how many sessions have committed it; `read-only`: one of them cannot
 * @throws NotMigratedError, DatabaseError, and what the sessions' storage throws
 */
export async function tellSessions(
  env: Env,
  config: Config,
  news: PullRequestNews,
  deliveryId: string,
): Promise<number | 'read-only'> {
  const database = openDatabase(env.DB, config.encryptionKey, config.oldEncryptionKey);
  const found = await findPullRequests(database, gitHubHost(config.github.apiUrl), news);
  let told = 0;
  for (const { sessionId, number } of found) {
    const session = stubOf(env, sessionId);
    // No id of this deployment: no repeat would change that.
    if (session === null) continue;
    // A delivery may be about several pull requests of a session.
    const key = `github ${deliveryId} ${number}`;
    const outcome = await session.accept({
      deliveryId: key,
      contentKey: key,
      origin: config.publicUrl ?? '',
      about: null,
      event: { type: 'pull-request-news', number, topic: news.topic, gatherMs: config.github.gatherMs },
    });
    if (outcome === 'read-only') return outcome;
    if (outcome === 'accepted' || outcome === 'duplicate') told += 1;
  }
  return told;
}
