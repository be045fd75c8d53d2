/**
 * The list that GitHub keeps of the webhooks it delivered, three days long: what did not arrive is found there, for GitHub repeats
 * nothing by itself (docs.github.com/en/webhooks/using-webhooks/handling-failed-webhook-deliveries).
 */
import * as z from 'zod';
import { log } from '../../observability/log.ts';
import { appToken, type GitHubApp } from '../installation-tokens.ts';
import { askGitHub, askGitHubPage } from '../request.ts';

/** How far the list was looked through. Times in ms since the epoch. */
export const deliveriesLookSchema = z.object({
  /** Everything that was delivered before is done with. */
  until: z.number(),
  /** Ids of later ones that are done with too. */
  done: z.array(z.string()),
});
export type DeliveriesLook = z.infer<typeof deliveriesLookSchema>;

/** A delivery that did not arrive. */
export interface MissedDelivery {
  /** GitHub's id of it in the list. */
  id: string;
  /** The same in each repeat of it: `X-GitHub-Delivery`. */
  guid: string;
  event: string;
  at: number;
}

/** docs.github.com/en/rest/apps/webhooks#list-deliveries-for-an-app-webhook */
const itemSchema = z.object({
  id: z.string().regex(/^\d{1,30}$/),
  guid: z.string().min(1).max(200),
  delivered_at: z.iso.datetime({ offset: true }).transform((text) => Date.parse(text)),
  status_code: z.number(),
  event: z.string(),
});

const PAGE = 100;
/** Pages that are read in one look. It is made every few minutes, so more come only after a long break. */
const MOST_PAGES = 20;

/**
 * What was delivered since then and did not arrive, oldest first. Of very many deliveries the oldest are left out, and the log says so.
 * @param since ms since the epoch
 * @param events names of the events that count
 * @returns `newest`: when the newest delivery was made, whether it arrived or not; null: there is none
 * @throws GitHubError
 */
export async function missedDeliveries(
  apiUrl: string,
  app: GitHubApp,
  since: number,
  events: readonly string[],
): Promise<{ missed: MissedDelivery[]; newest: number | null }> {
  const token = await appToken(app, Date.now());
  const missed: MissedDelivery[] = [];
  let newest: number | null = null;
  let cursor: string | null = null;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const query: URLSearchParams = new URLSearchParams({ per_page: String(PAGE), ...(cursor !== null && { cursor }) });
    const { value, next } = await askGitHubPage(apiUrl, token, {
      method: 'GET',
      path: `/app/hook/deliveries?${query}`,
      what: 'read the list of webhooks that GitHub delivered',
      answer: z.array(itemSchema),
      textIds: true,
    });
    for (const { id, guid, event, delivered_at: at, status_code: status } of value) {
      newest = Math.max(newest ?? at, at);
      const hasArrived = status >= 200 && status < 300;
      if (at >= since && !hasArrived && events.includes(event)) missed.push({ id, guid, event, at });
    }
    const last = value.at(-1);
    if (next === null || !last || last.delivered_at < since) break;
    if (page === MOST_PAGES - 1) log('github.missed_webhooks.cut', { from: since, to: last.delivered_at });
    cursor = next;
  }
  return { missed: missed.toSorted((one, other) => one.at - other.at), newest };
}

/** What a delivery held, as GitHub sent it. @throws GitHubError */
export async function payloadOf(apiUrl: string, app: GitHubApp, id: string): Promise<unknown> {
  const { request } = await askGitHub(apiUrl, await appToken(app, Date.now()), {
    method: 'GET',
    path: `/app/hook/deliveries/${id}`,
    what: 'read a webhook that did not arrive',
    answer: z.object({ request: z.object({ payload: z.unknown() }) }),
  });
  return request.payload;
}
