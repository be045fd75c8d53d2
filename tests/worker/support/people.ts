/** People of two workspaces who sign in, and sessions of their teams. */
import { env } from 'cloudflare:workers';
import { expect } from 'vitest';
import { openDatabase } from '../../../src/store/database.ts';
import { upsertWorkspace } from '../../../src/store/workspaces/workspaces.ts';
import { Browser } from './browser.ts';
import type { FakeLinear, FakePerson, FakeWorkspace } from './fake-linear.ts';

export const SECURE_ORIGIN = 'https://cyrus.test';

/** Bindings of a deployment on the internet where people sign in with Linear. */
export function bindingsOf(more: Record<string, string> = { SIGN_IN: 'linear' }): Env {
  return { ...env, ENVIRONMENT: 'production', PUBLIC_URL: SECURE_ORIGIN, ...more };
}

export interface Team {
  id: string;
  workspaceId: string;
  visibility: 'public' | 'private';
}

/** A workspace that has Cyrus, with a public and a private team. */
export async function installed(
  linear: FakeLinear,
  name: string,
): Promise<FakeWorkspace & { open: Team; secret: Team }> {
  const workspace = { id: crypto.randomUUID(), name, urlKey: name.toLowerCase(), appUserId: crypto.randomUUID() };
  const database = openDatabase(env.DB, env.ENCRYPTION_KEY);
  const { access } = linear.grant(workspace);
  const { urlKey, appUserId } = workspace;
  await upsertWorkspace(database, workspace.id, { name, urlKey, appUserId, accessToken: access }, Date.now());
  const team = (visibility: Team['visibility']): Team => ({
    id: crypto.randomUUID(),
    workspaceId: workspace.id,
    visibility,
  });
  const [open, secret] = [team('public'), team('private')];
  linear.teams.push(open, secret);
  return { ...workspace, open, secret };
}

/** Somebody of a workspace. */
export function person(
  linear: FakeLinear,
  workspace: FakeWorkspace,
  name: string,
  more: Partial<FakePerson> = {},
): FakePerson {
  const email = `${name.toLowerCase()}@${workspace.urlKey}.example`;
  const somebody = { id: crypto.randomUUID(), name, email, workspace, teams: [], ...more };
  linear.people.push(somebody);
  return somebody;
}

/** A browser in which a person has signed in, by the way that people take. */
export async function signedIn(linear: FakeLinear, who: FakePerson, bindings = bindingsOf()): Promise<Browser> {
  const browser = new Browser(bindings, { 'user-agent': 'A browser of the tests' }, SECURE_ORIGIN);
  const back = await broughtBack(linear, who, browser);
  const { status, location } = await browser.open(back);
  expect([status, location]).toEqual([303, '/']);
  return browser;
}

/** Up to where Linear sends the browser back. */
export async function broughtBack(linear: FakeLinear, who: FakePerson, browser: Browser, to = '/'): Promise<URL> {
  const { location } = await browser.open(`/oauth/sign-in?to=${encodeURIComponent(to)}`);
  return linear.consent(location, who.workspace, { person: who });
}

/**
 * A session on an issue of a team, or without an issue.
 * @returns its id
 */
export async function sessionOf(workspace: FakeWorkspace, team: Team | null, title: string): Promise<string> {
  const stub = env.ISSUE_SESSION.getByName(`${workspace.id}:${title}`);
  const promptId = crypto.randomUUID();
  const issue = team && {
    ...{ id: crypto.randomUUID(), identifier: 'ENG-1', title, url: 'https://linear.app/x/issue/ENG-1' },
    ...{ teamId: team.id, team: { id: team.id, key: 'ENG', name: 'Engineering' } },
  };
  const outcome = await stub.accept({
    ...{ deliveryId: promptId, contentKey: promptId, origin: SECURE_ORIGIN },
    about: { workspaceId: workspace.id, issue, fallbackName: title },
    event: {
      ...{ type: 'prompted', promptId, agentSessionId: crypto.randomUUID(), author: 'Somebody', source: 'mention' },
      ...{ person: { id: 'somebody', email: null }, text: `Work on ${title}` },
    },
    promptText: { followUp: title, first: title },
  });
  expect(outcome).toBe('accepted');
  return stub.id.toString();
}
