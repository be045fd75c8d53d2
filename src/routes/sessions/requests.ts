/** What people ask of a session by a request: who they are to it, how it is taken in, and the note in the audit log. */
import { readConfig } from '../../config/read-config.ts';
import { asError } from '../../lib/error.ts';
import { log } from '../../observability/log.ts';
import { membershipIn } from '../../people/person.ts';
import { type ApiError, QUESTION_CLOSED } from '../../protocol/api.ts';
import type { Delivery } from '../../session/inbound/delivery.ts';
import type { IssueSession } from '../../session/issue-session.ts';
import type { Person as Asker } from '../../session/lifecycle/model/directives.ts';
import { audit } from '../../store/audit.ts';
import { openDatabase } from '../../store/database.ts';
import { NO_SUCH_SESSION, type PeopleContext } from '../middleware/needs.ts';

const READ_ONLY: ApiError = {
  error: 'read_only',
  message:
    'This session is read-only until a version of Cyrus that can read its storage is deployed; nothing was changed.',
};

/** Who asks, as Linear knows them: the rules on who may ask count on the page as they do there. An owner of no workspace may all. */
export function askerOf(c: PeopleContext): { name: string | null; person: Asker | null } {
  const { person, workspaceId } = c.var;
  const membership = workspaceId === null ? null : membershipIn(person, workspaceId);
  const { name } = person;
  if (!membership) return { name, person: null };
  return { name, person: { id: membership.userId, email: person.email, ...(name !== null && { name }) } };
}

/** What is asked, for the audit log. */
export interface Asked {
  action: `session.${string}`;
  requestId: string;
  sessionId: string;
}

/** What became of a request. */
export type TakenIn =
  | { kind: 'taken'; outcome: 'accepted' | 'duplicate' }
  | { kind: 'refused'; status: 404 | 409; problem: ApiError };

/**
 * Hands a request to its session, once: one with the same id changes nothing.
 * @param request what a session that begins with it needs too
 */
export async function takeIn(
  c: PeopleContext,
  asked: Asked,
  session: DurableObjectStub<IssueSession>,
  request: Pick<Delivery, 'event' | 'promptText'> & Partial<Pick<Delivery, 'about' | 'issueNews'>>,
): Promise<TakenIn> {
  const outcome = await session.accept({
    about: null,
    ...request,
    deliveryId: asked.requestId,
    contentKey: `page:${asked.requestId}`,
    origin: new URL(c.req.url).origin,
  });
  if (outcome === 'accepted') noteAction(c, asked);
  if (outcome === 'no-such-session') return { kind: 'refused', status: 404, problem: NO_SUCH_SESSION };
  if (outcome === 'read-only') return { kind: 'refused', status: 409, problem: READ_ONLY };
  if (typeof outcome === 'object') {
    return { kind: 'refused', status: 409, problem: { error: QUESTION_CLOSED, message: outcome.closed } };
  }
  return { kind: 'taken', outcome };
}

/** Beside the answer: a stop does not wait for the database. Of who has no name and no token there is nothing to note. */
function noteAction(c: PeopleContext, { action, requestId, sessionId }: Asked): void {
  const { person, workspaceId } = c.var;
  const { token } = person;
  if (person.signInId === null && token === undefined) return;
  const { encryptionKey } = readConfig(c.env);
  const details = {
    ...{ session: sessionId, request: requestId, name: person.name },
    ...(token && { token: token.id }),
  };
  const entry = { at: Date.now(), actor: person.key, action, workspaceId, details } as const;
  const written = audit(openDatabase(c.env.DB, encryptionKey), entry).catch((error: unknown) => {
    log('alert.audit.lost', { action, person: person.key, error: asError(error) });
  });
  c.executionCtx.waitUntil(written);
}
