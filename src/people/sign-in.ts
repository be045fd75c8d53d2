/**
 * Signing in and staying signed in: what Linear says of a person is kept with a random token's hash, asked for again each
 * hour with the app's token, and believed for four hours at most while Linear does not answer. The person's own token is not kept.
 */
import * as z from 'zod';
import type { Config } from '../config.ts';
import { AskedLately } from '../lib/asked-lately.ts';
import { toBase64Url } from '../lib/base64url.ts';
import { asError } from '../lib/error.ts';
import { parseJson } from '../lib/parse-json.ts';
import { settledWithin } from '../lib/timeout.ts';
import { sendThrough } from '../linear/api/send.ts';
import { log } from '../observability/log.ts';
import { defaultWorkspaceSettings, workspaceSettingsSchema } from '../protocol/settings/access-rules.ts';
import { type Database, listWorkspaces } from '../store/database.ts';
import {
  endSignIns,
  findSignIn,
  hashOf,
  putSignIn,
  type SignedInWorkspace,
  type StoredSignIn,
  updateSignIn,
} from '../store/people/sign-ins.ts';
import { type KnownPerson, personByEmail, personById } from './linear-membership.ts';
import { type LinearMembership, membershipSchema, type Person, roleOf } from './person.ts';

/** A sign-in ends so long after it was last used. */
export const SIGN_IN_MS = 12 * 3_600_000;
/** And so long after it was made, however much it is used. */
const LONGEST_MS = 30 * 24 * 3_600_000;
/** How often its use is noted, and the cookie set again. */
const NOTED_EVERY_MS = 10 * 60_000;
const RECHECK_MS = 3_600_000;
/** What Linear said last is believed for so long while it cannot be asked. */
const BELIEVED_MS = 4 * 3_600_000;
/** Somebody of no workspace may have been invited meanwhile. */
const RECHECK_STRANGER_MS = 5 * 60_000;
/** Linear is asked again no sooner than this after it could not answer. */
const ASK_AGAIN_MS = 60_000;
/** Nobody waits longer for Linear to say who somebody is. */
const ANSWER_LIMIT_MS = 8_000;
const TOKEN_BYTES = 32;
const MAX_BROWSER = 200;
/** Most workspaces in which a person is looked for by email. */
const MOST_WORKSPACES = 50;

/** By the hash of the token: whom Linear was asked about without an answer. */
const asked = new AskedLately(ASK_AGAIN_MS);

/** Where people are looked up. */
export interface People {
  env: Env;
  config: Config;
  database: Database;
}

/** A person with their sign-in. `renewedUntil`: the cookie is to be set again, to end then; null: it need not. */
export interface SignedIn {
  person: Person;
  renewedUntil: number | null;
}

/**
 * Signs a person in whom Linear has just named.
 * @param browser the header User-Agent
 * @param now ms
 * @returns the cookie's token, which is kept nowhere else, and when it ends
 * @throws NotMigratedError, DatabaseError
 */
export async function signIn(
  { database }: People,
  { name, email, membership }: KnownPerson,
  browser: string | null,
  now: number,
): Promise<{ token: string; until: number; id: string }> {
  const token = toBase64Url(crypto.getRandomValues(new Uint8Array(TOKEN_BYTES)));
  const id = crypto.randomUUID();
  const until = now + SIGN_IN_MS;
  await putSignIn(database, {
    ...{ tokenHash: await hashOf(token), id, kind: 'linear', person: keyOf(membership), name, email },
    memberships: JSON.stringify([membership]),
    browser: browser?.slice(0, MAX_BROWSER) ?? null,
    ...{ createdAt: now, seenAt: now, expiresAt: until, checkedAt: now },
  });
  return { token, until, id };
}

/** Who the person is in the audit log. Linear's ids are unique over all workspaces. */
export function keyOf({ userId }: Pick<LinearMembership, 'userId'>): string {
  return `linear-user:${userId}`;
}

/**
 * Who has this token.
 * @returns null: nobody, or not any more; `unsure`: Linear has not said for so long who is a member that nobody is let in for now
 * @throws NotMigratedError, DatabaseError
 */
export async function personOfCookie(people: People, token: string, now: number): Promise<SignedIn | null | 'unsure'> {
  const found = await findSignIn(people.database, await hashOf(token), now);
  return found?.signIn.kind === 'linear' ? go(people, found, now) : null;
}

/**
 * Whose token it is, as far as that is needed to sign out: it holds while Linear does not say what they may see.
 * @throws NotMigratedError, DatabaseError
 */
export async function leaverOfCookie(people: People, token: string, now: number): Promise<Person | null> {
  const found = await findSignIn(people.database, await hashOf(token), now);
  return found?.signIn.kind === 'linear' ? toPerson(people, found.signIn, [], []) : null;
}

/**
 * Who has this email, which Cloudflare Access vouches for. What they may see is what Linear says of the one person with that email.
 * @returns `unsure` as for a token
 * @throws NotMigratedError, DatabaseError
 */
export async function personOfEmail(
  people: People,
  email: string,
  browser: string | null,
  now: number,
): Promise<Person | 'unsure'> {
  const tokenHash = await hashOf(`access:${email}`);
  const found = await findSignIn(people.database, tokenHash, now);
  if (found?.signIn.kind === 'access') {
    const signedIn = await go(people, found, now);
    if (signedIn === 'unsure') return signedIn;
    if (signedIn) return signedIn.person;
  }
  const isOwner = isOwnerByEmail(people, email);
  if (!isOwner && !asked.isDue(tokenHash, now)) return 'unsure';
  const { name, memberships, said } = await lookUp(people, email, [], now);
  if (said !== 'all') asked.note(tokenHash, now);
  if (said === 'nothing' && !isOwner) return 'unsure';
  const signIn: StoredSignIn = {
    ...{ tokenHash, id: crypto.randomUUID(), kind: 'access', person: `access:${email}`, name: name ?? email, email },
    memberships: JSON.stringify(memberships),
    browser: browser?.slice(0, MAX_BROWSER) ?? null,
    ...{ createdAt: now, seenAt: now, expiresAt: now + SIGN_IN_MS, checkedAt: said === 'all' ? now : now - RECHECK_MS },
  };
  await putSignIn(people.database, signIn);
  const again = await findSignIn(people.database, tokenHash, now);
  return toPerson(people, signIn, memberships, again?.workspaces ?? []);
}

/** Goes on with a sign-in that was found: notes its use, and asks Linear again if that is due. */
async function go(
  people: People,
  { signIn, workspaces }: { signIn: StoredSignIn; workspaces: SignedInWorkspace[] },
  now: number,
): Promise<SignedIn | null | 'unsure'> {
  const { database } = people;
  const { tokenHash } = signIn;
  const stored = readMemberships(signIn);
  const every = stored.length === 0 ? RECHECK_STRANGER_MS : RECHECK_MS;
  const age = now - signIn.checkedAt;
  let memberships = stored;
  let { name, email } = signIn;
  if ((age >= every || age < 0) && asked.isDue(tokenHash, now)) {
    // Other requests meanwhile go on with what is believed, and do not ask too; if nothing is believed any more they wait for the answer.
    if (age < BELIEVED_MS) asked.note(tokenHash, now);
    const checked = await recheck(people, signIn, stored, workspaces, now);
    if (checked === 'unknown') asked.note(tokenHash, now);
    else {
      if (checked.said === 'all') asked.forget(tokenHash);
      else asked.note(tokenHash, now);
      ({ memberships } = checked);
      name = checked.name ?? name;
      email = checked.email ?? email;
      if (signIn.kind === 'linear' && memberships.length === 0) {
        await endSignIns(database, signIn.person, { id: signIn.id });
        log('people.sign_in.ended', { reason: 'no member any more', person: signIn.person });
        return null;
      }
      const checkedAt =
        checked.said === 'all' ? now : checked.isWhole ? now - RECHECK_MS + RECHECK_STRANGER_MS : signIn.checkedAt;
      const values = { memberships: JSON.stringify(memberships), name, email, checkedAt };
      await updateSignIn(database, tokenHash, values);
      signIn = { ...signIn, ...values };
    }
  }
  if (now - signIn.checkedAt >= BELIEVED_MS && !(signIn.kind === 'access' && isOwnerByEmail(people, email))) {
    // The app cannot ask there any more, so only the person can say who they are: by signing in again.
    if (signIn.kind === 'linear' && !canBeAsked(stored[0], workspaces)) return null;
    log('alert.people.recheck', {
      reason: 'Linear has not said for four hours who is a member',
      person: signIn.person,
    });
    return 'unsure';
  }
  const person = toPerson(people, { ...signIn, name, email }, memberships, workspaces);
  if (person.memberships.length === 0 && signIn.kind === 'linear' && !person.isOwner) return null;
  return { person, renewedUntil: await renew(database, signIn, now) };
}

/** @returns when the sign-in ends from now on; null: as before */
async function renew(
  database: Database,
  { tokenHash, seenAt, createdAt }: StoredSignIn,
  now: number,
): Promise<number | null> {
  if (now - seenAt < NOTED_EVERY_MS && now >= seenAt) return null;
  const expiresAt = Math.min(now + SIGN_IN_MS, createdAt + LONGEST_MS);
  await updateSignIn(database, tokenHash, { seenAt: now, expiresAt });
  return expiresAt;
}

interface Checked {
  name: string | null;
  email: string | null;
  memberships: LinearMembership[];
  /** Which of the workspaces that were asked have answered. */
  said: 'all' | 'some' | 'nothing';
  /** Every workspace in which the person was a member has answered. */
  isWhole: boolean;
}

async function recheck(
  people: People,
  { kind, email, checkedAt }: StoredSignIn,
  stored: LinearMembership[],
  workspaces: SignedInWorkspace[],
  now: number,
): Promise<Checked | 'unknown'> {
  if (kind === 'access') {
    const before = stored.map((one) => ({ ...one, saidAt: one.saidAt ?? checkedAt }));
    const found = await lookUp(people, email, before, now);
    return found.said === 'nothing' ? 'unknown' : found;
  }
  const [membership] = stored;
  // Removed from its workspace, Cyrus cannot ask; what is seen of the workspace ends by its state.
  if (!membership || !canBeAsked(membership, workspaces)) return 'unknown';
  const { workspaceId, userId } = membership;
  const known = await answerOf(workspaceId, personById(sendThrough(people.env, workspaceId), userId));
  if (known === 'unknown') return 'unknown';
  const answered = { said: 'all', isWhole: true } as const;
  if (known === null) return { name: null, email: null, memberships: [], ...answered };
  return { name: known.name, email: known.email, memberships: [known.membership], ...answered };
}

function canBeAsked(membership: LinearMembership | undefined, workspaces: SignedInWorkspace[]): boolean {
  return workspaces.some(({ id, status }) => id === membership?.workspaceId && status === 'active');
}

/** Looks for a person by email in every workspace. @param before what counts where Linear does not answer */
async function lookUp(
  { env, database }: People,
  email: string,
  before: LinearMembership[],
  now: number,
): Promise<Checked> {
  const workspaces = await listWorkspaces(database);
  const active = workspaces.filter(({ status }) => status === 'active').slice(0, MOST_WORKSPACES);
  const answers = await Promise.all(
    active.map(async ({ id }) => ({ id, found: await answerOf(id, personByEmail(sendThrough(env, id), email)) })),
  );
  const memberships = answers.flatMap(({ id, found }) =>
    found === 'unknown' ? before.filter(({ workspaceId }) => workspaceId === id) : found ? [found.membership] : [],
  );
  const closed = workspaces.filter(({ status }) => status === 'reinstall-needed').map(({ id }) => id);
  const kept = before
    .filter(({ workspaceId }) => closed.includes(workspaceId))
    .map((one) => (now - (one.saidAt ?? now) < BELIEVED_MS ? one : { ...one, teamIds: [] }));
  const named = answers.find(({ found }) => found !== 'unknown' && found !== null)?.found;
  const name = named && named !== 'unknown' ? named.name : null;
  const silent = answers.filter(({ found }) => found === 'unknown').map(({ id }) => id);
  return {
    ...{ name, email: null, memberships: [...memberships, ...kept] },
    said: silent.length === 0 ? 'all' : silent.length === answers.length ? 'nothing' : 'some',
    isWhole: !before.some(({ workspaceId }) => silent.includes(workspaceId)),
  };
}

/** Never rejects: what Linear cannot say now is not known. */
async function answerOf(
  workspace: string,
  answer: Promise<KnownPerson | null>,
): Promise<KnownPerson | null | 'unknown'> {
  try {
    const said = await settledWithin(ANSWER_LIMIT_MS, answer);
    if (said !== 'late') return said;
    log('people.recheck.failed', { workspace, reason: `no answer within ${ANSWER_LIMIT_MS / 1_000} s` });
  } catch (error) {
    log('people.recheck.failed', { workspace, error: asError(error) });
  }
  return 'unknown';
}

/** A workspace that removed Cyrus is nobody's any more here. */
function toPerson(
  { config }: People,
  { kind, person: key, name, email, id }: StoredSignIn,
  memberships: LinearMembership[],
  workspaces: SignedInWorkspace[],
): Person {
  const ids = memberships.map(({ userId }) => userId.toLowerCase());
  const isOwner =
    kind === 'access' ? isOwnerByEmail({ config }, email) : config.owners.some((one) => ids.includes(one));
  const present = memberships.flatMap((membership) => {
    const workspace = workspaces.find((one) => one.id === membership.workspaceId);
    if (!workspace || workspace.status === 'revoked') return [];
    const role = roleOf(membership, email, viewersOf(workspace));
    return [{ ...membership, workspaceName: workspace.name, role }];
  });
  return { kind, key, name, email, isOwner, memberships: present, signInId: id };
}

/** Where Cloudflare Access vouches for the email, it needs no answer of Linear. */
function isOwnerByEmail({ config }: Pick<People, 'config'>, email: string): boolean {
  return config.owners.includes(email.toLowerCase());
}

function viewersOf({ settings }: SignedInWorkspace): string[] {
  const read = workspaceSettingsSchema.safeParse(settings === null ? {} : parseJson(settings));
  return (read.success ? read.data : defaultWorkspaceSettings).viewers ?? [];
}

function readMemberships({ memberships }: StoredSignIn): LinearMembership[] {
  const read = z.array(membershipSchema).safeParse(parseJson(memberships));
  return read.success ? read.data : [];
}
