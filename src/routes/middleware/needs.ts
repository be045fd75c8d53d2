/**
 * What a route needs: every route names it, and a test fails for one that does not. `needs` has the one place that decides
 * (people/rights.ts) judge the person; `servesOthers` says who is let in where it is no person who asks.
 */
import type { Context, MiddlewareHandler } from 'hono';
import { log } from '../../observability/log.ts';
import type { Person } from '../../people/person.ts';
import { type Action, DEPLOYMENT, isWithinScope, mayDo, maySee, type Resource, scopeFor } from '../../people/rights.ts';
import type { ApiError } from '../../protocol/api.ts';
import type { IssueSession } from '../../session/issue-session.ts';

/** Set by browser-access.ts: who asks. Set by `needsSession`: the session that they may do this with, and what more. */
export type PeopleEnv = {
  Bindings: Env;
  Variables: {
    person: Person;
    session: DurableObjectStub<IssueSession>;
    workspaceId: string | null;
    /** Whether the person may give the session work and stop it. */
    mayWork: boolean;
    /** When a program first asked for this change by its Idempotency-Key, in ms since the epoch; left out: it has none. */
    askedSince?: number;
    /** Something may have been changed, whatever the answer says: a repeat by the key goes on with it. */
    mayBeDone?: boolean;
  };
};
export type PeopleContext = Context<PeopleEnv>;

/** Who is served by routes that serve no person, and by what they prove it. */
export type Others =
  | 'everyone'
  | 'signature of Linear'
  | 'signature of GitHub'
  | 'ADMIN_TOKEN'
  | 'session token'
  | 'share link'
  | 'who signs in';

/** The mark by which the test finds what a route needs. */
export type Declared = { readonly declares: Action | Others };

export const NO_SUCH_SESSION: ApiError = { error: 'no_such_session', message: 'There is no session with this id.' };

/**
 * Lets those pass who may do this.
 * @param resourceOf what it is about; left out: the whole deployment
 */
export function needs(
  action: Action,
  resourceOf: (c: PeopleContext) => Resource = () => DEPLOYMENT,
): MiddlewareHandler<PeopleEnv> & Declared {
  const guard: MiddlewareHandler<PeopleEnv> = async (c, next) => {
    const resource = resourceOf(c);
    const { person } = c.var;
    if (mayDo(person, action, resource)) return next();
    return refuse(c, person, action, resource);
  };
  return Object.assign(guard, { declares: action });
}

/** The same for what is done with the session `:id`, which alone the route is then given. */
export function needsSession(action: 'session.read' | 'session.work'): MiddlewareHandler<PeopleEnv> & Declared {
  const guard: MiddlewareHandler<PeopleEnv> = async (c, next) => {
    const session = stubOf(c.env, c.req.param('id') ?? '');
    if (session === null) return c.json(NO_SUCH_SESSION, 404);
    const { person } = c.var;
    c.set('session', session);
    c.set('workspaceId', null);
    c.set('mayWork', true);
    // Nothing is asked of the session for the one person who may everything.
    if (person.isOwner && person.memberships.length === 0 && mayDo(person, action, DEPLOYMENT)) return next();
    const whose = await session.whose();
    if (whose === null) return c.json(NO_SUCH_SESSION, 404);
    const resource: Resource = { kind: 'session', ...whose };
    if (!mayDo(person, action, resource)) return refuse(c, person, action, resource);
    c.set('workspaceId', whose.workspaceId);
    c.set('mayWork', mayDo(person, 'session.work', resource));
    return next();
  };
  return Object.assign(guard, { declares: action });
}

/** Declares that a route serves no person. What it says is proved by the route itself. */
export function servesOthers(who: Others): MiddlewareHandler & Declared {
  return Object.assign<MiddlewareHandler, Declared>(async (_c, next) => next(), { declares: who });
}

/** The session with this id; null for text that no session of this deployment can have as id. */
export function stubOf(env: Env, id: string): DurableObjectStub<IssueSession> | null {
  try {
    return env.ISSUE_SESSION.get(env.ISSUE_SESSION.idFromString(id));
  } catch {
    return null;
  }
}

/** What somebody may not see is answered as if it were not there. */
function refuse(c: PeopleContext, person: Person, action: Action, resource: Resource): Response {
  log('access.action.refused', { action, person: person.key, path: c.req.path });
  if (resource.kind === 'session' && !maySee(person, resource)) return c.json(NO_SUCH_SESSION, 404);
  if (resource.kind === 'workspace' && !maySee(person, resource)) {
    const message = 'There is no such workspace, or you are no member of it.';
    return c.json({ error: 'no_such_workspace', message } satisfies ApiError, 404);
  }
  if (!isWithinScope(person, action)) return beyondScope(c, action);
  return c.json({ error: 'not_allowed', message: wordsFor(action, person) } satisfies ApiError, 403);
}

function beyondScope(c: PeopleContext, action: Action): Response {
  const scope = scopeFor(action) ?? '';
  const message = `This needs a token with the scope ${scope}.`;
  const challenge = `Bearer realm="Cyrus", error="insufficient_scope", scope="${scope}"`;
  return c.json({ error: 'insufficient_scope', message } satisfies ApiError, 403, { 'www-authenticate': challenge });
}

function wordsFor(action: Action, { kind }: Person): string {
  if (action === 'deployment.install' && kind === 'access') return INSTALL_BY_ACCESS;
  return WORDS[action] ?? OTHER_WORDS;
}

const WORDS: Partial<Record<Action, string>> = {
  'session.work':
    'You may look on in this workspace, and neither give work nor steer it. A Cyrus admin can change that.',
  'deployment.install':
    'Only an admin of a workspace, or who has the ACCESS_PASSWORD of this deployment, can install Cyrus.',
};
const INSTALL_BY_ACCESS = 'Only an admin of a workspace, or whom OWNERS names, can install Cyrus.';
const OTHER_WORDS = 'You may not do this. A Cyrus admin can.';
