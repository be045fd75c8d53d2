/** What a person sees at the end of an installation: that it worked and what comes next, or why not and what to do. */
import type { Context } from 'hono';
import { html } from 'hono/html';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { SCOPES } from '../../linear/tokens/oauth.ts';
import { page } from './html.ts';

const MAX_DETAIL = 300;

/** Every way an installation can fail: the answer's status, and words. */
const REFUSALS = {
  'not-configured': {
    status: 503,
    title: 'Not set up yet',
    lead: 'This deployment does not know its application in Linear: LINEAR_CLIENT_ID or LINEAR_CLIENT_SECRET is not set. The page /install tells how to get both and where to put them.',
  },
  'foreign-callback': {
    status: 400,
    title: 'This address is not allowed',
    lead: 'The link asks to be sent on to an address that this deployment does not list in OAUTH_CALLBACK_ALLOW. Add it there if it is yours; if somebody sent you the link, do not trust it.',
  },
  'state-unknown': {
    status: 400,
    title: 'This did not begin here',
    lead: 'This installation link is not valid, or it has expired. Begin the installation again.',
  },
  'state-foreign': {
    status: 403,
    title: 'Begun in another browser',
    lead: 'This installation was begun in another browser, or this one has lost its cookie. Begin it again and finish it in the same browser. If somebody sent you the link, do not trust it.',
  },
  'state-used': {
    status: 400,
    title: 'Already used',
    lead: 'This answer of Linear was taken before; each is good for once. If Cyrus is not listed as installed, begin again.',
  },
  'state-expired': {
    status: 400,
    title: 'That took too long',
    lead: 'An installation has to be finished within ten minutes. Begin it again.',
  },
  'refused-at-linear': {
    status: 403,
    title: 'Not installed',
    lead: 'Linear says that the installation was not allowed. It takes an admin of the workspace, and in some workspaces the approval of another one.',
  },
  scope: {
    status: 403,
    title: 'Some permissions are missing',
    lead: `Cyrus cannot work with less than it asks for (${SCOPES.join(', ')}). Nothing was kept. Begin again and allow all of it.`,
  },
  person: {
    status: 403,
    title: 'Not installed as an app',
    lead: 'Linear gave tokens that act for you, not for the app. They were given back. Begin again by the button on the page /install.',
  },
  'code-refused': {
    status: 400,
    title: 'Linear does not accept its code',
    lead: 'The code that Linear sent along was refused when it was shown: it was used before, is too old, or belongs to another address. Begin the installation again.',
  },
  'client-refused': {
    status: 502,
    title: 'Linear does not know this application',
    lead: 'Linear does not accept LINEAR_CLIENT_ID together with LINEAR_CLIENT_SECRET. Copy both again from the application in Linear; the page /install can check them.',
  },
  unreachable: {
    status: 502,
    title: 'Linear does not answer',
    lead: 'The installation could not be finished because Linear did not answer as expected. Nothing was kept. Try again in a few minutes.',
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
export function refusalPage(c: Context, { kind, detail }: Refusal): Response | Promise<Response> {
  const { status, title, lead } = REFUSALS[kind];
  const said = detail === null ? '' : html`<p class="note">Details: <code>${detail.slice(0, MAX_DETAIL)}</code></p>`;
  const body = html`<div class="card">
        ${said}
        <p><a class="button" href="/install">To the installation page</a></p>
      </div>`;
  return page(c, status, { title, lead, body });
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
          <p>or, where this project is not at hand:</p>
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
          <p>Assign an issue to Cyrus, or mention it in a comment. It answers within seconds, with a link to watch the work.</p>
        </li>
      </ol>
      <p class="workspaces"><a class="button quiet" href="/">See the sessions</a></p>`;
  const title = `Cyrus is installed ${isNew ? '' : 'again '}in ${workspace.name}`;
  const lead = isNew
    ? 'Linear will send its events here from now on.'
    : 'Its tokens are new; repositories and sessions are as they were.';
  return page(c, 200, { title, lead, body });
}
