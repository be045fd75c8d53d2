/** Frame of the pages that the Worker writes itself. Everything put into them is escaped by the template. */
import type { Context } from 'hono';
import { html } from 'hono/html';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { shownText } from '../../protocol/text/clean-text.ts';

/** Markup made by `html`; a plain text put in its place is escaped. */
export type Markup = ReturnType<typeof html>;

/** Answers with a page. Never kept by a browser: what it says is true only now. */
export async function page(
  c: Context,
  status: ContentfulStatusCode,
  { title, lead, body }: { title: string; lead: string; body: Markup | '' },
): Promise<Response> {
  c.header('cache-control', 'no-store');
  const markup = html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="color-scheme" content="light dark" />
    <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
    <link rel="stylesheet" href="/pages.css" />
    <title>${title} · Cyrus</title>
  </head>
  <body>
    <main>
      <a class="brand" href="/"><img src="/favicon.svg" width="22" height="22" alt="" />Cyrus</a>
      <h1>${title}</h1>
      <p class="lead">${lead}</p>
      ${body}
    </main>
  </body>
</html>`;
  return c.html(shownText(String(await markup)), status);
}

/** Most that is shown of what somebody else said, in UTF-16 code units. */
const MAX_DETAIL = 300;

/**
 * Answers with a page that says why something did not work.
 * @param detail what Linear said; null: nothing
 * @param next where to go on from here
 */
export function problemPage(
  c: Context,
  { status, title, lead }: { status: ContentfulStatusCode; title: string; lead: string },
  detail: string | null,
  next: { href: string; label: string },
): Promise<Response> {
  const said = detail === null ? '' : html`<p class="note">Details: <code>${detail.slice(0, MAX_DETAIL)}</code></p>`;
  const body = html`<div class="card">
        ${said}
        <p><a class="button" href="${next.href}">${next.label}</a></p>
      </div>`;
  return page(c, status, { title, lead, body });
}
