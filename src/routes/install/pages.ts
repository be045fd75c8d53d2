/** What a person sees at the end of an installation: that it worked and what comes next, or why not and what to do. */
import type { Context } from 'hono';
import { html } from 'hono/html';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { SCOPES } from '../../linear/tokens/oauth.ts';
import { page, problemPage } from './html.ts';

/** Every way an installation can fail: the answer's status, and words. */
const REFUSALS = {
  'not-configured': {
    status: 503,
    title: 'Not set up yet',
    lead: 'This deployment does not know its application in Linear: LINEAR_CLIENT_ID or LINEAR_CLIENT_SECRET is not set. The page /install explains how to get both and where to store them.',
  },
  'foreign-callback': {
    status: 400,
    title: 'This address is not allowed',
    lead: 'The link redirects to an address that this deployment does not list in OAUTH_CALLBACK_ALLOW. If the address is yours, add it there; if somebody sent you the link, do not trust it.',
  },
  'state-unknown': {
    status: 400,
    title: 'This link is not valid',
    lead: 'This installation link is not valid, or it has expired. Start the installation again.',
  },
  'state-foreign': {
    status: 403,
    title: 'Started in another browser',
    lead: 'This installation was started in another browser, or this browser has lost its cookie. Start again and finish in the same browser. If somebody sent you the link, do not trust it.',
  },
  'state-used': {
    status: 400,
    title: 'Already used',
    lead: 'This link from Linear was used before; each works once. If Cyrus is not listed as installed, start again.',
  },
  'state-expired': {
    status: 400,
    title: 'That took too long',
    lead: 'An installation has to be finished within ten minutes. Start again.',
  },
  'refused-at-linear': {
    status: 403,
    title: 'Not installed',
    lead: 'Linear reports that the installation was not allowed. It needs an admin of the workspace, and in some workspaces the approval of a second one.',
  },
  scope: {
    status: 403,
    title: 'Some permissions are missing',
    lead: `Cyrus needs all the permissions it asks for (${SCOPES.join(', ')}). Nothing was stored. Start again and allow all of them.`,
  },
  person: {
    status: 403,
    title: 'Not installed as an app',
    lead: 'Linear issued tokens that act for you, not for the app. Cyrus revoked them. Start again with the button on the page /install.',
  },
  'code-refused': {
    status: 400,
    title: 'Linear does not accept its code',
    lead: 'Linear refused its own code: it was used before, has expired, or belongs to another address. Start the installation again.',
  },
  'client-refused': {
    status: 502,
    title: 'Linear does not know this application',
    lead: 'Linear does not accept LINEAR_CLIENT_ID together with LINEAR_CLIENT_SECRET. Copy both again from the application in Linear; the page /install can check them.',
  },
  unreachable: {
    status: 502,
    title: 'Linear does not answer',
    lead: 'The installation could not be finished because Linear did not answer as expected. Nothing was stored. Try again in a few minutes.',
  },
} as const satisfies Record<string, { status: ContentfulStatusCode; title: string; lead: string }>;

/** A refusal, with what Linear said about it; null: nothing. */
export interface Refusal {
  kind: keyof typeof REFUSALS;
  detail: string | null;
}

/** Makes a refusal. @param detail what Linear said */
export function refusal(kind: Refusal['kind'], detail: string | null = null): Refusal {
  return { kind, detail };
}

/** Answers with the page of a refusal. */
export function refusalPage(c: Context, { kind, detail }: Refusal): Promise<Response> {
  return problemPage(c, REFUSALS[kind], detail, { href: '/install', label: 'To the installation page' });
}

/**
 * Answers that Cyrus is installed, with what comes next.
 * @param repositories how many the workspace has
 * @param origin address of this deployment
 */
export function installedPage(
  c: Context,
  { workspace, isNew }: { workspace: { id: string; name: string; urlKey: string }; isNew: boolean },
  repositories: number,
  origin: string,
): Response | Promise<Response> {
  const address = `${origin}/api/admin/workspaces/${workspace.id}/repositories/OWNER/NAME`;
  const command = `CYRUS_URL=${origin} CYRUS_GIT_SECRET=TOKEN npm run repositories -- add OWNER/NAME \\
  --workspace ${workspace.id} --clone-url https://github.com/OWNER/NAME.git --credential basic`;
  const request = `curl -X PUT ${address} \\
  -H "Authorization: Bearer $ADMIN_TOKEN" -H 'Content-Type: application/json' \\
  -d '{"cloneUrl":"https://github.com/OWNER/NAME.git","baseBranch":"main",
       "credential":{"username":"x-access-token","password":"TOKEN"}}'`;
  const first =
    repositories === 0
      ? html`<li>
          <h2>Add a repository</h2>
          <p>Cyrus needs to know where the code is. An admin (with the ADMIN_TOKEN of this deployment) runs:</p>
          <pre>${command}</pre>
          <p>or, without a copy of this project:</p>
          <pre>${request}</pre>
        </li>`
      : '';
  const body = html`<ol class="steps">
        ${first}
        <li>
          <h2>Choose the teams</h2>
          <p>In Linear’s settings an admin decides which teams the app may see.</p>
        </li>
        <li>
          <h2>Give it an issue</h2>
          <p>Assign an issue to Cyrus, or mention it in a comment. It answers within seconds with a link to the live session.</p>
        </li>
      </ol>
      <p class="workspaces"><a class="button quiet" href="/">See the sessions</a></p>`;
  const title = `Cyrus is installed ${isNew ? '' : 'again '}in ${workspace.name}`;
  const lead = isNew
    ? 'Linear will send its events here from now on.'
    : 'Its tokens are new; repositories and sessions are unchanged.';
  return page(c, 200, { title, lead, body });
}
