/** What a person sees who signs in: the button, or why it did not work and what to do. */
import type { Context } from 'hono';
import { html } from 'hono/html';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { page, problemPage } from '../install/html.ts';

/** Every way a sign-in can fail: the answer's status, and words. */
const REFUSALS = {
  'not-configured': {
    status: 503,
    title: 'Not set up yet',
    lead: 'This deployment does not know its application in Linear yet. Who runs it opens the page /install and follows its steps.',
  },
  'state-unknown': {
    status: 400,
    title: 'This link is not valid',
    lead: 'The link is not valid, or it has expired. Start again.',
  },
  'state-foreign': {
    status: 403,
    title: 'Started in another browser',
    lead: 'This was started in another browser, or this browser has lost its cookie. Start again and finish in the same browser. If somebody sent you the link, do not trust it.',
  },
  'state-used': {
    status: 400,
    title: 'Already used',
    lead: 'This link from Linear was used before; each works once. Start again.',
  },
  'state-expired': {
    status: 400,
    title: 'That took too long',
    lead: 'It has to be finished within ten minutes. Start again.',
  },
  denied: {
    status: 403,
    title: 'Not signed in',
    lead: 'Linear reports that you did not allow it. Cyrus only reads who you are and which teams you see.',
  },
  'code-refused': {
    status: 400,
    title: 'Linear does not accept its code',
    lead: 'Linear refused its own code: it was used before, has expired, or belongs to another address. Start again.',
  },
  'client-refused': {
    status: 502,
    title: 'Linear does not know this application',
    lead: 'Linear does not accept LINEAR_CLIENT_ID together with LINEAR_CLIENT_SECRET. Who runs this deployment can check both on the page /install.',
  },
  unreachable: {
    status: 502,
    title: 'Linear does not answer',
    lead: 'Linear did not say who you are. Try again in a few minutes.',
  },
  stranger: {
    status: 403,
    title: 'Cyrus is not installed in this workspace',
    lead: 'You signed in to a workspace that has not installed Cyrus here. Choose another workspace, or have an admin install it.',
  },
  'no-person': {
    status: 403,
    title: 'Not a person of this workspace',
    lead: 'Linear names an application, or somebody who is suspended. Sign in as yourself.',
  },
  'too-many': {
    status: 429,
    title: 'Too many attempts',
    lead: 'There were too many attempts to sign in from your address. Try again in half an hour.',
  },
} as const satisfies Record<string, { status: ContentfulStatusCode; title: string; lead: string }>;

export type SignInRefusal = keyof typeof REFUSALS;

/**
 * Answers with the page of a refusal.
 * @param detail what Linear said; null: nothing
 */
export function refusedPage(c: Context, kind: SignInRefusal, detail: string | null = null): Promise<Response> {
  return problemPage(c, REFUSALS[kind], detail, { href: '/sign-in', label: 'To the sign-in page' });
}

/** Answers with the page that has the button. @param to path to which the person wants to go */
export function signInPage(c: Context, to: string): Response | Promise<Response> {
  const query = `to=${encodeURIComponent(to)}`;
  const body = html`<div class="card">
        <p><a class="button" href="/oauth/sign-in?${query}">Sign in with Linear</a></p>
        <p class="note">Cyrus reads who you are and which teams you see, and gives the permission back at once.</p>
        <p class="note"><a href="/oauth/sign-in?${query}&choose=1">Choose another workspace</a> · <a href="/install">Set up this deployment</a></p>
      </div>`;
  return page(c, 200, {
    title: 'Sign in',
    lead: 'You see what you see in Linear: your workspace and your teams.',
    body,
  });
}
