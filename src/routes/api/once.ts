/** Changes with an `Idempotency-Key`: each is made once, and a repeat within a day is given the answer that was given then. */
import { readConfig } from '../../config/read-config.ts';
import { asError } from '../../lib/error.ts';
import { sha256 } from '../../lib/hex.ts';
import { log } from '../../observability/log.ts';
import { openDatabase } from '../../store/database.ts';
import { decryptText, encryptText } from '../../store/encryption.ts';
import { type ChangeKey, freeKey, keepAnswer, leaveKey, takeKey } from '../../store/people/api-answers.ts';
import type { PeopleContext } from '../middleware/needs.ts';
import { problemAnswer } from './problems.ts';

const KEY = /^[\x21-\x7e]{1,255}$/;

/**
 * Makes a change, unless it was made.
 * @param change answers 2xx if something was changed; any other answer gives the key free again, unless something may have been changed
 * @param hasSecret the answer has a secret in it: it is kept encrypted
 */
export async function once(
  c: PeopleContext,
  change: () => Response | Promise<Response>,
  hasSecret: boolean,
): Promise<Response> {
  const which = keyOf(c);
  if (which === null) return change();
  if (which instanceof Response) return which;
  const { encryptionKey, oldEncryptionKey } = readConfig(c.env);
  const database = openDatabase(c.env.DB, encryptionKey, oldEncryptionKey);
  const request = await sha256(`${c.req.method} ${c.req.url}\n${await c.req.text()}`);
  const known = await takeKey(database, which, request, Date.now());
  if (known.kind !== 'do' && known.request !== request) {
    const words = 'This `Idempotency-Key` was used for another request within the last 24 hours: choose another one.';
    return problemAnswer(422, 'key_reused', words);
  }
  if (known.kind === 'unanswered') {
    const words = 'The request with this `Idempotency-Key` is not answered yet. Ask again in a second.';
    const answer = problemAnswer(409, 'in_progress', words);
    answer.headers.set('retry-after', '1');
    return answer;
  }
  if (known.kind === 'answered') {
    const { status, body } = known;
    const replayed = { 'idempotency-replayed': 'true' };
    // As one without a body was answered first: 204.
    if (body === '') return new Response(null, { status, headers: replayed });
    const plain = hasSecret ? await decryptText(database.readKeys, 'api-answer', contextOf(which), body) : body;
    return new Response(plain, { status, headers: { 'content-type': 'application/json', ...replayed } });
  }
  c.set('askedSince', known.since);
  let answer: Response;
  try {
    answer = await change();
  } catch (error) {
    // The session may have taken it in all the same: a repeat asks it again, under the same id.
    await leaveKey(database, which).catch((failed: unknown) =>
      log('api.idempotency_key.failed', { error: asError(failed) }),
    );
    throw error;
  }
  if (!answer.ok) {
    // Given free, the next repeat would make what was made by another id, so once more.
    if (known.isRepeat || c.get('mayBeDone')) await leaveKey(database, which);
    else await freeKey(database, which);
    return answer;
  }
  const body = await answer.clone().text();
  const { encryptionKey: key } = database;
  const kept = hasSecret && body !== '' ? await encryptText(key, 'api-answer', contextOf(which), body) : body;
  await keepAnswer(database, which, answer.status, kept);
  return answer;
}

function contextOf({ tokenId, key }: ChangeKey): string[] {
  return [tokenId, key];
}

/** @returns null: there is none; an answer for one that is not valid */
function keyOf(c: PeopleContext): ChangeKey | Response | null {
  const key = c.req.header('idempotency-key');
  const { token } = c.var.person;
  if (key === undefined || token === undefined) return null;
  if (KEY.test(key)) return { tokenId: token.id, key };
  const message = 'must be 1 to 255 visible characters of ASCII';
  return problemAnswer(400, 'bad_request', `The header \`Idempotency-Key\` ${message}.`, [
    { in: 'header', pointer: '/Idempotency-Key', message },
  ]);
}

/**
 * The id of the request in its session: the same for a repeat, also of one that broke off before it was answered. When the key was used
 * first is part of it, so that it is another one once the key is free again.
 * @returns a UUID
 */
export async function requestIdOf(c: PeopleContext): Promise<string> {
  const which = keyOf(c);
  if (which === null || which instanceof Response) return crypto.randomUUID();
  const hex = await sha256(`${which.tokenId} ${which.key} ${c.get('askedSince') ?? ''} ${c.req.method} ${c.req.path}`);
  // Version 8 is for ids that an application makes its own way (RFC 9562).
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
