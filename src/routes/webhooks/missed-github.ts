/**
 * Webhooks of GitHub that did not arrive: fetched by the scheduled job from GitHub's list of deliveries, and taken in as if they had.
 * What had arrived all the same is known by its id.
 */
import type { Config } from '../../config/config.ts';
import { GitHubError } from '../../github/errors.ts';
import type { GitHubApp } from '../../github/installation-tokens.ts';
import {
  type DeliveriesLook,
  type MissedDelivery,
  missedDeliveries,
  payloadOf,
} from '../../github/webhooks/deliveries.ts';
import { GITHUB_EVENTS, readGitHubWebhook } from '../../github/webhooks/webhook.ts';
import { asError } from '../../lib/error.ts';
import { log } from '../../observability/log.ts';
import { operationsOf } from '../../operations/operations.ts';
import { settledConfig } from '../../store/settings.ts';
import { tellSessions } from './github-news.ts';

/** How far back the first look goes, in ms: as long as GitHub keeps deliveries. */
const FIRST_MS = 3 * 24 * 3_600_000;
/** A delivery may come into the list late: each look goes back so far beyond the one before, in ms. */
const OVERLAP_MS = 15 * 60_000;
/** Fetched in one run; the next run goes on. */
const MOST_FETCHED = 50;

/** Takes in what did not arrive. Never rejects. */
export async function takeMissedWebhooks(env: Env): Promise<void> {
  try {
    const config = await settledConfig(env, null);
    const { app, webhookSecret, apiUrl } = config.github;
    if (!app || webhookSecret === null) return;
    const operations = operationsOf(env);
    const look = (await operations.gitHubDeliveries()) ?? { until: Date.now() - FIRST_MS, done: [] };
    const { missed, newest } = await missedDeliveries(apiUrl, app, look.until - OVERLAP_MS, GITHUB_EVENTS);
    const left = missed.filter(({ id }) => !look.done.includes(id));
    const done = await takeEach(env, config, app, left.slice(0, MOST_FETCHED));
    const next = lookAfter(look, missed, done, newest);
    if (JSON.stringify(next) !== JSON.stringify(look)) await operations.noteGitHubDeliveries(next);
    if (done.length > 0) log('github.webhook.fetched', { count: done.length });
  } catch (error) {
    log('github.missed_webhooks.failed', { error: asError(error) });
  }
}

/** @returns ids of those that are done with; what could not be taken in is tried again in the next run */
async function takeEach(
  env: Env,
  config: Config,
  app: GitHubApp,
  missed: readonly MissedDelivery[],
): Promise<string[]> {
  const done: string[] = [];
  for (const { id, guid, event } of missed) {
    try {
      const webhook = readGitHubWebhook(event, await payloadOf(config.github.apiUrl, app, id));
      if (webhook.kind === 'news' && (await tellSessions(env, config, webhook, guid)) === 'read-only') continue;
      done.push(id);
    } catch (error) {
      log('github.missed_webhooks.failed', { error: asError(error), delivery: guid });
      if (!(error instanceof GitHubError)) continue;
      if (error.retryable) break;
      // What GitHub does not have any more will not be had later either.
      done.push(id);
    }
  }
  return done;
}

/** Where the next look begins: at what could not be taken in, else at the newest delivery. */
function lookAfter(
  look: DeliveriesLook,
  missed: readonly MissedDelivery[],
  done: readonly string[],
  newest: number | null,
): DeliveriesLook {
  const known = new Set([...look.done, ...done]);
  const open = missed.find(({ id }) => !known.has(id));
  const until = Math.max(look.until, open ? open.at : (newest ?? look.until));
  const isWithin = ({ at }: MissedDelivery) => at >= until - OVERLAP_MS;
  return { until, done: missed.filter((one) => isWithin(one) && known.has(one.id)).map(({ id }) => id) };
}
