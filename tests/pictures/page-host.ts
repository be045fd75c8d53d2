/**
 * The built page in a browser, with answers of the API that a state of the page needs. No Worker runs: pictures of rare states would have to
 * wait for them. What the answers may look like is checked by the schemas of the protocol.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BrowserContext, Page, Route } from 'playwright-core';
import { PROJECT } from '../../dev/settings.ts';
import { type SessionList, sessionListSchema, sessionPageSchema } from '../../src/protocol/api.ts';
import type { JournalEntry } from '../../src/protocol/journal.ts';
import type { PullRequestStatus } from '../../src/protocol/pull-request.ts';
import { PAGE_PROTOCOL } from '../../src/protocol/version.ts';
import type { OpenBlock, SessionView } from '../../src/protocol/viewer.ts';

export const ORIGIN = 'https://cyrus.example';

/** What the server knows. */
export interface Known {
  sessions?: SessionList;
  session?: SessionView;
  entries?: readonly JournalEntry[];
  open?: readonly OpenBlock[];
  patch?: string;
  pull?: PullRequestStatus;
  mayWork?: boolean;
  /** There is no live connection. */
  isCut?: boolean;
}

const TYPES: Record<string, string> = {
  js: 'text/javascript',
  css: 'text/css',
  svg: 'image/svg+xml',
  html: 'text/html',
};

/** Opens an address of the page. */
export async function openPage(context: BrowserContext, path: string, known: Known): Promise<Page> {
  const page = await context.newPage();
  await page.route(`${ORIGIN}/**`, (route) => answer(route, known));
  await page.routeWebSocket(/\/live\?/, (socket) => {
    if (known.isCut || known.session === undefined) {
      void socket.close();
      return;
    }
    const { session, entries = [], open = [] } = known;
    socket.send(JSON.stringify({ t: 'hello', protocol: PAGE_PROTOCOL, session, head: entries.length, open }));
    socket.onMessage((message) => {
      if (message === 'ping') socket.send('pong');
    });
  });
  await page.goto(ORIGIN + path);
  return page;
}

async function answer(route: Route, known: Known): Promise<void> {
  const { pathname } = new URL(route.request().url());
  const { session, entries = [] } = known;
  const json = (body: unknown, status = 200) => route.fulfill({ status, json: body });
  if (pathname === '/api/sessions')
    return json(sessionListSchema.parse(known.sessions ?? { sessions: [], scriptedModel: false }));
  if (pathname === '/api/me') return json({ error: 'none', message: 'Nobody is signed in.' }, 404);
  if (pathname.startsWith('/api/') && session === undefined)
    return json({ error: 'no_such_session', message: 'No session.' }, 404);
  if (pathname.endsWith('/patch')) return route.fulfill({ contentType: 'text/x-diff', body: known.patch ?? '' });
  if (pathname.endsWith('/pull-request'))
    return json(known.pull ?? { error: 'none', message: 'None.' }, known.pull ? 200 : 404);
  if (pathname.endsWith('/share-links')) {
    const link = { id: 'l', by: 'Ada', createdAt: Date.now(), expiresAt: Date.now() + 7 * 24 * 3_600_000 };
    const isNew = route.request().method() === 'POST';
    return json(isNew ? { ...link, secret: 's'.repeat(43) } : { links: [{ ...link, id: 'm', by: null }] });
  }
  if (pathname.startsWith('/api/')) {
    const saved = entries.findLast(({ kind }) => kind === 'saved');
    const page = { session, entries, head: entries.length, mayWork: known.mayWork ?? true, ...(saved && { saved }) };
    return json(sessionPageSchema.parse(page));
  }
  const isFile = /\.\w+$/.test(pathname);
  const name = isFile ? pathname.slice(1) : 'index.html';
  const type = TYPES[name.slice(name.lastIndexOf('.') + 1)] ?? 'application/octet-stream';
  return route.fulfill({ contentType: type, body: readFileSync(join(PROJECT, 'dist/web', name)) });
}
