/** Where alerts go: Slack, PagerDuty and any webhook, each in its own words. */
import type { AlertChannels } from '../../config/config.ts';
import { toHex } from '../../lib/hex.ts';
import { withTimeout } from '../../lib/timeout.ts';
import { type Notice, runbookOf } from './alert.ts';

export const CHANNELS = ['slack', 'pagerduty', 'webhook'] as const;
export type Channel = (typeof CHANNELS)[number];

const LIMIT_MS = 10_000;
/** PagerDuty takes no longer ones (developer.pagerduty.com, Events API v2). */
const MOST_SUMMARY = 1_024;
const MOST_DEDUP = 255;
const utf8 = new TextEncoder();

/** Which channels this deployment has. */
export function channelsOf(config: AlertChannels): Channel[] {
  return CHANNELS.filter((channel) => config[channel] !== null);
}

/** What became of a delivery: taken; to be tried again, perhaps at a time; or there is nobody to take it. */
export type Delivered =
  | { kind: 'taken' }
  | { kind: 'again'; why: string; afterMs: number | null }
  | { kind: 'unwanted'; why: string };

/**
 * Sends a notice. Never rejects.
 * @param about `id` is the same for each try; `source` the address of this deployment
 */
export async function send(
  config: AlertChannels,
  channel: Channel,
  notice: Notice,
  about: { id: string; source: string; at: number },
): Promise<Delivered> {
  try {
    const request = await requestFor(config, channel, notice, about);
    // It was taken off while the notice waited.
    if (request === null) return { kind: 'unwanted', why: 'it is no longer configured' };
    const { url, headers, body } = request;
    const response = await withTimeout(LIMIT_MS, async (signal) => {
      const init = { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body, signal };
      const answer = await fetch(url, { ...init, redirect: 'manual' });
      await answer.body?.cancel();
      return answer;
    });
    return outcomeOf(response);
  } catch (error) {
    // The address may be a secret, and errors may quote it.
    const why = error instanceof DOMException ? `no answer within ${LIMIT_MS / 1000} s` : 'it cannot be reached';
    return { kind: 'again', why, afterMs: null };
  }
}

function outcomeOf({ status, headers, ok }: Response): Delivered {
  if (ok) return { kind: 'taken' };
  // A key or an address that is wrong is put right by somebody, who wants to hear what waited for that.
  const why = `it answered ${status}`;
  const after = Number(headers.get('retry-after'));
  return { kind: 'again', why, afterMs: after > 0 ? after * 1000 : null };
}

interface Outgoing {
  url: string;
  headers: Record<string, string>;
  body: string;
}

async function requestFor(
  { slack, pagerduty, webhook }: AlertChannels,
  channel: Channel,
  notice: Notice,
  about: { id: string; source: string; at: number },
): Promise<Outgoing | null> {
  switch (channel) {
    case 'slack':
      return slack && { url: slack.url, headers: {}, body: JSON.stringify({ text: slackText(notice, about.source) }) };
    case 'pagerduty':
      return (
        pagerduty && {
          url: `${pagerduty.url}/v2/enqueue`,
          headers: {},
          body: pagerDutyEvent(pagerduty.key, notice, about),
        }
      );
    case 'webhook': {
      if (!webhook) return null;
      const { id, source, at } = about;
      const body = JSON.stringify({ id, source, at, ...notice, runbook: runbookOf(notice.key) });
      const signature = await sign(webhook.secret, body);
      return { url: webhook.url, headers: { 'x-cyrus-signature': `sha256=${signature}` }, body };
    }
  }
}

/** Characters that mean something in Slack's text (docs.slack.dev, "Escaping text"). */
function slackText({ what, key, severity, words, remedy }: Notice, source: string): string {
  const plain = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  const mark =
    what === 'resolved' ? ':white_check_mark: Over' : severity === 'warning' ? ':warning:' : ':rotating_light:';
  const lines = [
    `${mark} *Cyrus*: ${plain(words)}`,
    remedy !== null && what === 'raised' && plain(remedy),
    what === 'raised' && plain(runbookOf(key)),
    plain(source),
  ];
  return lines.filter((line) => line !== false && line !== '').join('\n');
}

function pagerDutyEvent(key: string, notice: Notice, { source, at }: { source: string; at: number }): string {
  const { what, severity, words, remedy, since } = notice;
  const common = { routing_key: key, dedup_key: `cyrus:${source}:${notice.key}`.slice(0, MOST_DEDUP) };
  if (what === 'resolved') return JSON.stringify({ ...common, event_action: 'resolve' });
  return JSON.stringify({
    ...common,
    event_action: 'trigger',
    client: 'Cyrus',
    payload: {
      summary: words.slice(0, MOST_SUMMARY),
      source: source === '' ? 'cyrus' : source,
      severity,
      timestamp: new Date(at).toISOString(),
      class: notice.key.split(':')[0],
      custom_details: { remedy, runbook: runbookOf(notice.key), since: new Date(since).toISOString() },
    },
  });
}

/** HMAC-SHA256 of the body, in hex, as Linear and GitHub sign theirs. */
async function sign(secret: string, body: string): Promise<string> {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const key = await crypto.subtle.importKey('raw', utf8.encode(secret), algorithm, false, ['sign']);
  return toHex(new Uint8Array(await crypto.subtle.sign('HMAC', key, utf8.encode(body))));
}
