/** Which lines of the log somebody is told of at once, and in which words (pure). */
import type { Alert, Severity } from './alert.ts';

type Fields = Readonly<Record<string, unknown>>;

interface Telling {
  severity: Severity;
  /** What makes it the same alert when it comes again, beside the event. */
  by?: string;
  words: (text: (name: string) => string) => string;
  remedy: string;
}

const PAGE = 'The page of the session says more.';

/** By the event of the line. What is not here is found by the look at the deployment every five minutes, or concerns nobody at once. */
const TELLINGS: Record<string, Telling> = {
  'alert.gateway.decoy_caught': {
    severity: 'critical',
    by: 'session',
    words: (text) =>
      `A sandbox tried to send the decoy credential or a secret to ${text('host')}: the session was stopped`,
    remedy:
      'Look at the requests on the page of the session: something in its repository or issue collects credentials.',
  },
  'alert.linear.reinstall_needed': {
    severity: 'error',
    by: 'workspace',
    words: (text) => `Linear takes the tokens of the workspace ${text('workspace')} no more: Cyrus cannot answer there`,
    remedy: 'Open /install and add Cyrus to the workspace again; repositories and sessions stay.',
  },
  'alert.claude.token_refused': {
    severity: 'critical',
    by: 'name',
    words: (text) => `Claude’s API does not take the token "${text('name')}": ${text('message')}`,
    remedy: 'Store another: npx wrangler secret put CLAUDE_CODE_OAUTH_TOKEN (or ANTHROPIC_API_KEY).',
  },
  'alert.claude.plan_exceeded': {
    severity: 'warning',
    by: 'name',
    words: (text) =>
      `The plan of the token "${text('name')}" is used up; Claude’s API goes on for usage credits, up to $${text('allowedUsd')}`,
    remedy: 'CLAUDE_OVERAGE_USD says how much is allowed; 0 lets sessions wait for the reset.',
  },
  'alert.sandbox.gateway_unreachable': {
    severity: 'error',
    words: (text) => `The sandbox of ${text('issue')} cannot reach this deployment at ${text('address')}`,
    remedy: 'Correct PUBLIC_URL, or the network of the sandbox server.',
  },
  'alert.linear.webhook_misfit': {
    severity: 'warning',
    by: 'kind',
    words: (text) =>
      `Webhooks ${text('kind')} of Linear came in a shape that this version does not know, and were dropped`,
    remedy: 'Update Cyrus.',
  },
  'alert.github.webhook_misfit': {
    severity: 'warning',
    by: 'event',
    words: (text) =>
      `Webhooks ${text('event')} of GitHub came in a shape that this version does not know, and were dropped`,
    remedy: 'Update Cyrus.',
  },
  'alert.linear.webhooks_limited': {
    severity: 'warning',
    by: 'workspace',
    words: (text) =>
      `The workspace ${text('workspace')} sends more webhooks than its limit lets in; Linear repeats them`,
    remedy:
      'Raise WEBHOOKS_A_MINUTE or WEBHOOK_BURST for it (npm run settings), unless an automation runs in a circle.',
  },
  'alert.linear.clock_ahead': {
    severity: 'warning',
    by: 'workspace',
    words: (text) =>
      `Webhooks of the workspace ${text('workspace')} carry a time ahead of the clock here; they are accepted`,
    remedy: 'Run npm run doctor: it compares the clocks.',
  },
  'alert.settings.misfit': {
    severity: 'warning',
    by: 'setting',
    words: (text) =>
      `The stored setting ${text('setting')} does not fit the variables and is passed over: ${text('why')}`,
    remedy: 'npm run settings -- list shows what counts; set it again or unset it.',
  },
  'alert.sign_in.attempts': {
    severity: 'warning',
    // Not by the address: somebody who has many of them would have people told as often.
    words: () =>
      'Somebody was refused at signing in thirty times in half an hour; their address is kept out for as long',
    remedy: 'If it goes on from many addresses, put Cloudflare Access in front (docs/sign-in.md).',
  },
  'alert.access.bypassed': {
    // Anybody can cause it who knows a hostname that Access is not in front of; nothing was shown to them.
    severity: 'warning',
    words: () => 'A request came past Cloudflare Access and was refused: a hostname is not behind its application',
    remedy: 'Set workers_dev = false in wrangler.toml, or put Access before every hostname, see docs/sign-in.md.',
  },
  'alert.people.recheck': {
    severity: 'error',
    words: () => 'Linear has not said for four hours who is a member, so people are kept out of the pages',
    remedy: 'Look whether Linear answers, and at /install whether it takes the tokens of the workspaces.',
  },
  'alert.audit.lost': {
    severity: 'error',
    words: (text) => `The audit log lacks what somebody did: ${text('action')} could not be written`,
    remedy: 'Look whether D1 answers (npm run doctor). The line of the log says who it was.',
  },
  'alert.webhook.disabled': {
    severity: 'warning',
    by: 'webhook',
    words: (text) => `A webhook of the workspace ${text('workspace')} to ${text('host')} is disabled: ${text('why')}`,
    remedy: 'An admin of the workspace can correct it and enable it again: npm run webhooks, or the API.',
  },
  'session.storage.unreadable': {
    severity: 'error',
    by: 'session',
    words: (text) =>
      `The session of ${text('issue')} is only shown, since this version cannot read what it stored: ${text('why')}`,
    remedy: 'Deploy the version that wrote it, or a newer one.',
  },
  'storage.migration.failed': {
    severity: 'critical',
    words: () => 'What an object stored could not be brought to the form of this version, so it changes nothing of it',
    remedy: 'Look at the error in the log of the Worker, and go back to the version before.',
  },
  'session.effect.given_up': {
    severity: 'error',
    by: 'effect',
    words: (text) =>
      `For ${text('issue')} something was given up after ${text('attempts')} tries: ${text('effect')} (${text('reason')})`,
    remedy: PAGE,
  },
};

/** @param record the line, already redacted @returns null: nobody is told of it */
export function alertOf(event: string, record: Fields): Alert | null {
  const text = (name: string) => String(record[name] ?? 'an unnamed one').slice(0, 300);
  if (event === 'session.turn.ended') {
    if (record.outcome !== 'failed') return null;
    const words = `Work on ${text('issue')} failed: ${text('reason')}`.slice(0, 1_000);
    return { key: 'session.turn_failed', severity: 'warning', words, remedy: PAGE };
  }
  const telling = Object.hasOwn(TELLINGS, event) ? TELLINGS[event] : undefined;
  if (!telling) return null;
  const { severity, by, words, remedy } = telling;
  const name = event.replace(/^alert\./, '');
  const key = by === undefined ? name : `${name}:${text(by)}`;
  return { key: key.slice(0, 200), severity, words: words(text).slice(0, 1_000), remedy };
}
