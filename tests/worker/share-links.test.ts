import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import { sessionPageSchema } from '../../src/protocol/api.ts';
import type { JournalEntry } from '../../src/protocol/journal.ts';
import {
  MOST_SHARE_LINKS,
  newShareLinkSchema,
  SHARE_HEADER,
  shareLinksSchema,
} from '../../src/protocol/share-links.ts';
import { sharedPage } from '../../src/session/viewers/shared-page.ts';
import { pageOfAudit } from '../../src/store/audit.ts';
import { openDatabase } from '../../src/store/database.ts';
import { spyOnLog } from '../support/log-spy.ts';
import { Browser } from './support/browser.ts';
import { FakeLinear, type FakePerson } from './support/fake-linear.ts';
import { bindingsOf, installed, person, SECURE_ORIGIN, sessionOf, signedIn } from './support/people.ts';

const json = { 'content-type': 'application/json', origin: SECURE_ORIGIN };
const DAY_MS = 24 * 3_600_000;
let linear: FakeLinear;
let acme: Awaited<ReturnType<typeof installed>>;
let ben: FakePerson;
let browser: Browser;
/** Somebody who is not signed in. */
let stranger: Browser;
let id: string;

beforeEach(async () => {
  spyOnLog();
  linear = new FakeLinear();
  acme = await installed(linear, 'Acme');
  ben = person(linear, acme, 'Ben', { teams: [acme.open.id] });
  browser = await signedIn(linear, ben);
  stranger = new Browser(bindingsOf(), {}, SECURE_ORIGIN);
  id = await sessionOf(acme, acme.open, crypto.randomUUID());
});
afterEach(() => vi.useRealTimers());

async function share(days = 7, session = id) {
  const body = JSON.stringify({ days });
  return browser.open(`/api/sessions/${session}/share-links`, { method: 'POST', body, headers: json });
}
async function made(session = id) {
  return newShareLinkSchema.parse(JSON.parse((await share(7, session)).text));
}
const look = (secret: string, session = id, query = '?before=end') =>
  stranger.open(`/api/share-links/${session}${query}`, { headers: { [SHARE_HEADER]: secret } });

describe('a share link', () => {
  it('shows the session to who has its secret, without a sign-in, until it is ended', async () => {
    const link = await made();
    const shown = await look(link.secret);
    expect(shown.status).toBe(200);
    expect(shown.headers.get('cache-control')).toBe('no-store');
    const page = sessionPageSchema.parse(JSON.parse(shown.text));
    expect(page.entries.some(({ kind }) => kind === 'prompt')).toBe(true);
    expect(page.mayWork).toBe(false);
    const ended = await browser.open(`/api/sessions/${id}/share-links/${link.id}`, { method: 'DELETE', headers: json });
    expect(ended.status).toBe(204);
    expect((await look(link.secret)).status).toBe(404);
  });

  it('ends by itself at its date', async () => {
    const link = await made();
    expect(link.expiresAt).toBe(link.createdAt + 7 * DAY_MS);
    vi.useFakeTimers({ now: link.expiresAt, toFake: ['Date'] });
    expect((await look(link.secret)).status).toBe(404);
  });

  it('opens this session alone, and nothing else of it', async () => {
    const { secret } = await made();
    const other = await sessionOf(acme, acme.open, crypto.randomUUID());
    const answers = [await look(secret, other), await look('A'.repeat(43)), await look(''), await look(`${secret}x`)];
    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404, 404]);
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    for (const path of ['', '/patch', '/log', '/egress', '/find?text=a', '/live', '/share-links']) {
      const refused = await stranger.open(`/api/sessions/${id}${path}`, { headers: { [SHARE_HEADER]: secret } });
      expect([path, refused.status]).toEqual([path, 401]);
    }
    const body = JSON.stringify({ id: crypto.randomUUID(), text: 'Delete all' });
    const headers = { ...json, [SHARE_HEADER]: secret };
    for (const path of [`/api/sessions/${id}/prompts`, `/api/share-links/${id}`, `/api/share-links/${id}/prompts`]) {
      const refused = await stranger.open(path, { method: 'POST', body, headers });
      expect([path, refused.status >= 400]).toEqual([path, true]);
    }
  });

  it('shows nothing that looks like a token, and nothing of the account and the deployment', async () => {
    const text = `Use ghp_${'a1'.repeat(18)} and https://ada:secret@example.com`;
    const body = JSON.stringify({ id: crypto.randomUUID(), text });
    await browser.open(`/api/sessions/${id}/prompts`, { method: 'POST', body, headers: json });
    const shown = (await look((await made()).secret)).text;
    expect(shown).toContain('[redacted]');
    expect(shown).not.toMatch(/ghp_|ada:secret|Acme/);
    const { session } = z.object({ session: z.record(z.string(), z.unknown()) }).parse(JSON.parse(shown));
    for (const field of ['windows', 'alert', 'readOnly', 'background']) expect(session).not.toHaveProperty(field);
  });

  it('shows neither what a turn cost nor what runs in the background', async () => {
    const page = sessionPageSchema.parse(JSON.parse((await look((await made()).secret)).text));
    const words = { text: 'Done.', durationMs: 1, usage: null, costUsd: 4.25, numTurns: 2 };
    const work = {
      branch: 'b',
      head: 'a'.repeat(40),
      commits: [],
      files: [],
      newCommits: 0,
      pushed: true,
      patchBytes: 1,
    };
    const ended = { isError: false, terminalReason: 'completed', apiError: null, promptIds: [], deniedTools: [] };
    const entries: JournalEntry[] = [
      { seq: 8, at: 1, turn: 1, kind: 'result', ...words, ...ended },
      { seq: 9, at: 1, turn: 1, kind: 'turn-ended', ...words, outcome: 'completed', reason: 'completed' },
      { seq: 10, at: 1, turn: 1, kind: 'saved', ...work, background: { commands: ['dev-server'], endAfterMs: 1 } },
    ];
    const shown = JSON.stringify(sharedPage({ ...page, entries }));
    expect(shown).toContain('Done.');
    expect(shown).not.toMatch(/4\.25|dev-server/);
  });

  it('is made, listed and ended by who may work in the session alone', async () => {
    const link = await made();
    const acting = { POST: '', GET: '', DELETE: `/${link.id}` };
    const outsider = await signedIn(linear, person(linear, await installed(linear, 'Other'), 'Eve'));
    for (const [method, path] of Object.entries(acting)) {
      const body = method === 'POST' ? JSON.stringify({ days: 1 }) : undefined;
      const init = { method, headers: json, ...(body && { body }) };
      const [foreign, nobody] = [
        await outsider.open(`/api/sessions/${id}/share-links${path}`, init),
        await stranger.open(`/api/sessions/${id}/share-links${path}`, init),
      ];
      expect([method, foreign.status, nobody.status]).toEqual([method, 404, 401]);
    }
    const listed = await browser.open(`/api/sessions/${id}/share-links`);
    const { secret: _, ...known } = link;
    expect(shareLinksSchema.parse(JSON.parse(listed.text))).toEqual({ links: [known] });
    expect(listed.text).not.toContain(link.secret);
    expect((await look(link.secret)).status).toBe(200);
  });

  it('is in the audit log when it is made and ended, without its secret', async () => {
    const link = await made();
    await browser.open(`/api/sessions/${id}/share-links/${link.id}`, { method: 'DELETE', headers: json });
    const database = openDatabase(env.DB, env.ENCRYPTION_KEY);
    const noted = await pageOfAudit(database, { workspaceId: acme.id, limit: 10, action: 'session.' });
    expect(noted).toMatchObject([
      { action: 'session.unshared', actor: `linear-user:${ben.id}`, details: { session: id, link: link.id } },
      { action: 'session.shared', actor: `linear-user:${ben.id}`, details: { session: id, link: link.id, days: 7 } },
    ]);
    expect(JSON.stringify(noted)).not.toContain(link.secret);
  });

  it('that is made by who has the password is in the audit log of the session’s workspace, and none of a session that is not there', async () => {
    const authorization = `Basic ${btoa(`ada:${env.ACCESS_PASSWORD}`)}`;
    const holder = new Browser(bindingsOf({ SIGN_IN: 'password' }), { authorization }, SECURE_ORIGIN);
    const missing = env.ISSUE_SESSION.idFromName(crypto.randomUUID()).toString();
    const statuses = [];
    for (const session of [id, missing]) {
      const made = { method: 'POST', body: JSON.stringify({ days: 1 }), headers: json };
      statuses.push((await holder.open(`/api/sessions/${session}/share-links`, made)).status);
    }
    expect(statuses).toEqual([201, 404]);
    const database = openDatabase(env.DB, env.ENCRYPTION_KEY);
    const noted = async (workspaceId: string | null) =>
      (await pageOfAudit(database, { workspaceId, limit: 10, action: 'session.shared' })).map(({ details }) => details);
    expect(await noted(acme.id)).toMatchObject([{ session: id }]);
    expect(JSON.stringify(await noted(null))).not.toContain(missing);
  });

  it('is refused for no time, for too long, and beyond so many', async () => {
    expect((await share(0)).status).toBe(400);
    expect((await share(91)).status).toBe(400);
    for (let n = 0; n < MOST_SHARE_LINKS; n += 1) expect((await share()).status).toBe(201);
    const refused = await share();
    expect(refused.status).toBe(409);
    expect(refused.text).toContain('end those that nobody uses');
  });

  it('makes no table in a session that nobody shared', async () => {
    expect((await look('A'.repeat(43))).status).toBe(404);
    expect(JSON.parse((await browser.open(`/api/sessions/${id}/share-links`)).text)).toEqual({ links: [] });
    const tables = () =>
      runInDurableObject(env.ISSUE_SESSION.get(env.ISSUE_SESSION.idFromString(id)), (_object, { storage }) =>
        storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'share_links'").toArray(),
      );
    expect(await tables()).toEqual([]);
    await made();
    expect(await tables()).toHaveLength(1);
  });
});
