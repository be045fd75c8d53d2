/** `GET /install/doctor`: what the doctor says of this deployment, as a page. */
import type { Context } from 'hono';
import { html } from 'hono/html';
import { log } from '../../observability/log.ts';
import { examine } from '../../operations/doctor/doctor.ts';
import { operationsOf } from '../../operations/operations.ts';
import { type Finding, summaryOf, type Verdict, type WorkerReport } from '../../protocol/doctor.ts';
import { audit } from '../../store/audit.ts';
import { openDatabase } from '../../store/database.ts';
import type { PeopleEnv } from '../middleware/needs.ts';
import { type Markup, page } from './html.ts';
import { redirectUriOf } from './oauth.ts';

type DoctorContext = Context<PeopleEnv>;

/** A report counts for so long: reloading the page is no reason to ask Claude and every git host again. */
const KEPT_MS = 30_000;
let kept: { at: number; env: Env; startsContainer: boolean; report: Promise<WorkerReport> } | null = null;

const TONES: Record<Verdict, { tone: string; words: string }> = {
  bad: { tone: 'bad', words: 'does not work' },
  warn: { tone: 'warn', words: 'look at it' },
  good: { tone: 'good', words: 'good' },
  skipped: { tone: 'warn', words: 'skipped' },
};
const ORDER: readonly Verdict[] = ['bad', 'warn', 'good', 'skipped'];

export async function doctorPage(c: DoctorContext): Promise<Response> {
  const startsContainer = c.req.query('sandbox') === 'true';
  const test = c.req.query('alerts') === 'test' ? await testAlerts(c) : '';
  const { findings } = await reportOf(c, startsContainer);
  const sorted = ORDER.flatMap((verdict) => findings.filter((finding) => finding.verdict === verdict));
  const more = startsContainer
    ? ''
    : html`<p><a class="button quiet" href="/install/doctor?sandbox=true">Also start a container</a> <span class="note">takes up to a minute</span></p>`;
  return page(c, 200, {
    title: 'Doctor',
    lead: `${summaryOf(findings)}.`,
    body: html`${test}<section class="card workspaces"><ul>${sorted.map(line)}</ul></section>
      ${more}
      <p><a class="button quiet" href="/install/doctor?alerts=test">Send a test of alerts</a> <span class="note">to every channel, and at most once a minute</span></p>
      <p class="note">The same in a terminal, with what only your machine can tell: <code>npm run doctor</code></p>
      <p><a href="/install">Back to the installation</a></p>`,
  });
}

/** Sends a test to every channel. @returns what became of it */
async function testAlerts(c: DoctorContext): Promise<Markup> {
  const { key } = c.var.person;
  const channels = await operationsOf(c.env).tryChannels('an admin');
  if (channels === null) {
    return html`<p class="pill warn">A test was sent within the last minute; look there first.</p>`;
  }
  if (channels.length === 0) {
    return html`<p class="pill bad">Nobody is told of alerts: no channel is configured. See docs/operating.md, “Alerts”.</p>`;
  }
  const details = { channels: channels.length };
  log('admin.alerts.tested', { person: key, ...details });
  const database = openDatabase(c.env.DB, '');
  await audit(database, { at: Date.now(), actor: key, action: 'alerts.tested', workspaceId: null, details });
  return html`<p class="pill good">A test is on its way to ${channels.join(', ')}. If it does not arrive, this page says why within a few minutes.</p>`;
}

function line({ name, verdict, words, remedy }: Finding): Markup {
  const { tone, words: told } = TONES[verdict];
  return html`<li><strong>${name}</strong> <span class="pill ${tone}">${told}</span> ${words}. ${remedy === null ? '' : html`<span class="note">${remedy}</span>`}</li>`;
}

/** Those who ask while it is made wait for the same one. */
async function reportOf(c: DoctorContext, startsContainer: boolean): Promise<WorkerReport> {
  const now = Date.now();
  if (kept && kept.env === c.env && kept.startsContainer === startsContainer && Math.abs(now - kept.at) < KEPT_MS) {
    return await kept.report;
  }
  const { origin } = new URL(c.req.url);
  const about = {
    origin,
    startsContainer,
    redirectUri: (config: Parameters<typeof redirectUriOf>[1]) => redirectUriOf(c, config),
  };
  const report = examine(c.env, about);
  const made = { at: now, env: c.env, startsContainer, report };
  kept = made;
  try {
    return await report;
  } catch (error) {
    if (kept === made) kept = null;
    throw error;
  } finally {
    // It counts from its end.
    made.at = Date.now();
  }
}
