/**
 * Who somebody is now: what Linear said of a person is kept beside a sign-in or a token, asked for again each hour with the app's
 * token, and believed for four hours at most while Linear does not answer.
 */
import * as z from 'zod';
import type { Config } from '../config/config.ts';
import { AskedLately } from '../lib/asked-lately.ts';
import { asError } from '../lib/error.ts';
import { parseJson } from '../lib/parse-json.ts';
import { settledWithin } from '../lib/timeout.ts';
import { sendThrough } from '../linear/api/send.ts';
import { log } from '../observability/log.ts';
import { defaultWorkspaceSettings, workspaceSettingsSchema } from '../protocol/settings/access-rules.ts';
import type { Database } from '../store/database.ts';
import type { NamedWorkspace } from '../store/people/named-workspaces.ts';
import { listWorkspaces } from '../store/workspaces/workspaces.ts';
import { type KnownPerson, personByEmail, personById } from './linear-membership.ts';
import { type LinearMembership, membershipSchema, type Person, roleOf } from './person.ts';

export const RECHECK_MS = 3_600_000;
/** What Linear said last is believed for so long while it cannot be asked. */
const BELIEVED_MS = 4 * 3_600_000;
/** Somebody of no workspace may have been invited meanwhile. */
const RECHECK_STRANGER_MS = 5 * 60_000;
/** Linear is asked again no sooner than this after it could not answer. */
const ASK_AGAIN_MS = 60_000;
/** Nobody waits longer for Linear to say who somebody is. */
const ANSWER_LIMIT_MS = 8_000;
/** Most workspaces in which a person is looked for by email. */
const MOST_WORKSPACES = 50;

/** By the hash of the token or email: whom Linear was asked about without an answer. */
export const asked = new AskedLately(ASK_AGAIN_MS);

/** Where people are looked up. */
export interface People {
  env: Env;
  config: Config;
  database: Database;
}

/** What is kept of a person, with a sign-in or a token. */
export interface KeptPerson {
  tokenHash: string;
  kind: 'linear' | 'access';
  /** `linear-user:<id>` or `access:<email>`. */
  person: string;
  name: string;
  email: string;
  /** JSON of LinearMembership: as Linear said at `checkedAt`. */
  memberships: string;
  checkedAt: number;
}

/** How what is kept is changed. */
export interface Keeper {
  update(values: Pick<KeptPerson, 'memberships' | 'name' | 'email' | 'checkedAt'>): Promise<void>;
  /** The person is no member any more. */
  end(): Promise<void>;
}

/**
 * The person as they are now. Linear is asked if that is due.
 * @param workspaces those that the memberships name
 * @param now ms since the epoch
 * @returns null: nobody any more; `unsure`: Linear has not said for so long who is a member that nobody is let in for now
 * @throws NotMigratedError, DatabaseError
 */
export async function presentPerson(
  people: People,
  kept: KeptPerson,
  workspaces: NamedWorkspace[],
  now: number,
  keeper: Keeper,
): Promise<Person | null | 'unsure'> {
  const { tokenHash } = kept;
  const stored = readMemberships(kept);
  const every = stored.length === 0 ? RECHECK_STRANGER_MS : RECHECK_MS;
  const age = now - kept.checkedAt;
  let memberships = stored;
  let { name, email } = kept;
  if ((age >= every || age < 0) && asked.isDue(tokenHash, now)) {
    // Other requests meanwhile go on with what is believed, and do not ask too; if nothing is believed any more they wait for the answer.
    if (age < BELIEVED_MS) asked.note(tokenHash, now);
    const checked = await recheck(people, kept, stored, workspaces, now);
    if (checked === 'unknown') asked.note(tokenHash, now);
    else {
      if (checked.said === 'all') asked.forget(tokenHash);
      else asked.note(tokenHash, now);
      ({ memberships } = checked);
      name = checked.name ?? name;
      email = checked.email ?? email;
      if (kept.kind === 'linear' && memberships.length === 0) {
        await keeper.end();
        log('people.sign_in.ended', { reason: 'no member any more', person: kept.person });
        return null;
      }
      const checkedAt =
        checked.said === 'all' ? now : checked.isWhole ? now - RECHECK_MS + RECHECK_STRANGER_MS : kept.checkedAt;
      const values = { memberships: JSON.stringify(memberships), name, email, checkedAt };
      await keeper.update(values);
      kept = { ...kept, ...values };
    }
  }
  if (now - kept.checkedAt >= BELIEVED_MS && !(kept.kind === 'access' && isOwnerByEmail(people, email))) {
    // The app cannot ask there any more, so only the person can say who they are: by signing in again.
    if (kept.kind === 'linear' && !canBeAsked(stored[0], workspaces)) return null;
    log('alert.people.recheck', {
      reason: 'Linear has not said for four hours who is a member',
      person: kept.person,
    });
    return 'unsure';
  }
  const person = toPerson(people, { ...kept, name, email }, memberships, workspaces);
  if (person.memberships.length === 0 && kept.kind === 'linear' && !person.isOwner) return null;
  return person;
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
  { kind, email, checkedAt }: KeptPerson,
  stored: LinearMembership[],
  workspaces: NamedWorkspace[],
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

function canBeAsked(membership: LinearMembership | undefined, workspaces: NamedWorkspace[]): boolean {
  return workspaces.some(({ id, status }) => id === membership?.workspaceId && status === 'active');
}

/** Looks for a person by email in every workspace. @param before what counts where Linear does not answer */
export async function lookUp(
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
export function toPerson(
  { config }: People,
  { kind, person: key, name, email, checkedAt }: Pick<KeptPerson, 'kind' | 'person' | 'name' | 'email' | 'checkedAt'>,
  memberships: LinearMembership[],
  workspaces: NamedWorkspace[],
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
  return { kind, key, name, email, isOwner, memberships: present, checkedAt, signInId: null };
}

/** Where Cloudflare Access vouches for the email, it needs no answer of Linear. */
export function isOwnerByEmail({ config }: Pick<People, 'config'>, email: string): boolean {
  return config.owners.includes(email.toLowerCase());
}

function viewersOf({ settings }: NamedWorkspace): string[] {
  const read = workspaceSettingsSchema.safeParse(settings === null ? {} : parseJson(settings));
  return (read.success ? read.data : defaultWorkspaceSettings).viewers ?? [];
}

function readMemberships({ memberships }: KeptPerson): LinearMembership[] {
  const read = z.array(membershipSchema).safeParse(parseJson(memberships));
  return read.success ? read.data : [];
}
