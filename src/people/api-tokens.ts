/** Personal tokens: by one of them a program acts for a person, within its scope and within what the person may do now. */
import * as z from 'zod';
import type { Config } from '../config/config.ts';
import { toBase64Url } from '../lib/base64url.ts';
import type { TokenInput, TokenScope } from '../protocol/people.ts';
import { deriveSecret } from '../store/encryption.ts';
import {
  countApiTokens,
  endApiToken,
  type FoundApiToken,
  type ListedApiToken,
  listApiTokens,
  putApiToken,
  type StoredApiToken,
  spendRequest,
  updateApiToken,
} from '../store/people/api-tokens.ts';
import { hashOf } from '../store/people/sign-ins.ts';
import { membershipSchema, nameless, type Person } from './person.ts';
import { type KeptPerson, type People, presentPerson, RECHECK_MS } from './present-person.ts';

/** By which people, and programs that search for secrets, know a token. */
const PREFIX = 'cyrus_pat_';
const TOKEN = /^cyrus_pat_[\w-]{43}$/;
const TOKEN_BYTES = 32;
const DAY_MS = 24 * 3_600_000;
/** Most tokens of one person. */
export const MOST_TOKENS = 50;

/**
 * Makes a token for a person who is signed in.
 * @param now ms since the epoch
 * @returns the token, which is kept nowhere, and what its owner sees of it later; `too-many`: the person has as many as one may have
 * @throws NotMigratedError, DatabaseError
 */
export async function makeToken(
  { database, config }: People,
  person: Person,
  { name: label, scope, days }: TokenInput,
  now: number,
): Promise<{ token: string; listed: ListedApiToken } | 'too-many'> {
  const owner = await ownerOf(person, config);
  if ((await countApiTokens(database, owner, now)) >= MOST_TOKENS) return 'too-many';
  const token = `${PREFIX}${toBase64Url(crypto.getRandomValues(new Uint8Array(TOKEN_BYTES)))}`;
  const { kind } = person;
  const listed = {
    id: crypto.randomUUID(),
    label,
    scope,
    createdAt: now,
    usedAt: null,
    expiresAt: now + days * DAY_MS,
  };
  await putApiToken(database, {
    ...listed,
    tokenHash: await hashOf(token),
    kind: kind === 'linear' || kind === 'access' ? kind : 'password',
    ...{ person: owner, name: person.name ?? '', email: person.email ?? '' },
    memberships: JSON.stringify(z.array(membershipSchema).parse(person.memberships)),
    // Linear is asked when it is used first. If it does not answer, it is believed no longer than of the sign-in.
    checkedAt: Math.min(now - RECHECK_MS, person.checkedAt ?? now),
    ...{ minute: 0, requests: 0 },
  });
  return { token, listed };
}

/** The tokens of a person, the newest first. @throws NotMigratedError, DatabaseError */
export async function tokensOf({ database, config }: People, person: Person, now: number): Promise<ListedApiToken[]> {
  return listApiTokens(database, await ownerOf(person, config), now);
}

/** Ends a token of a person. @returns what its owner called it; null: they have none with this id. @throws NotMigratedError, DatabaseError */
export async function revokeToken({ database, config }: People, person: Person, id: string): Promise<string | null> {
  return endApiToken(database, await ownerOf(person, config), id);
}

/** A program that acts for a person. */
export interface Caller {
  person: Person & { token: { id: string; scope: TokenScope } };
  /** How many it made in this minute, with this one. */
  requests: number;
  /** How many all programs of the person made in this minute, with this one. */
  requestsOfPerson: number;
}

/**
 * For whom a program acts, and how much it has asked. The request is counted.
 * @param text what it showed
 * @param now ms since the epoch
 * @returns null: the token is none, or not any more; `unsure`: Linear has not said for so long who is a member that nobody is let in for now
 * @throws NotMigratedError, DatabaseError
 */
export async function callerOf(people: People, text: string, now: number): Promise<Caller | null | 'unsure'> {
  if (!TOKEN.test(text)) return null;
  const found = await spendRequest(people.database, await hashOf(text), now);
  if (!found || !(await counts(found.token, people.config))) return null;
  const { id, scope, requests } = found.token;
  const person = await ownerNow(people, found, now);
  if (person === null || person === 'unsure') return person;
  return { person: { ...person, token: { id, scope } }, requests, requestsOfPerson: found.requestsOfPerson };
}

async function ownerNow(
  people: People,
  { token, workspaces }: FoundApiToken,
  now: number,
): Promise<Person | null | 'unsure'> {
  const { kind } = token;
  if (kind === 'password') return nameless(people.config.environment === 'local' ? 'local' : 'password');
  const kept: KeptPerson = { ...token, kind };
  return presentPerson(people, kept, workspaces, now, {
    update: (values) => updateApiToken(people.database, token.tokenHash, values),
    end: async () => void (await endApiToken(people.database, token.person, token.id)),
  });
}

/** One that was made under another SIGN_IN, or with another password, says nothing of who may come in now. */
async function counts({ kind, person }: StoredApiToken, config: Config): Promise<boolean> {
  if (kind !== config.signIn.kind) return false;
  return kind !== 'password' || person === (await passwordHolders(config));
}

async function ownerOf({ kind, key }: Person, config: Config): Promise<string> {
  return kind === 'password' || kind === 'local' ? passwordHolders(config) : key;
}

/** With a password people have no names that are proved: the tokens are those of everybody who has it, and end with it as their cookies do. */
async function passwordHolders({ encryptionKey, accessPassword }: Config): Promise<string> {
  return `browser:${await hashOf(`${await deriveSecret(encryptionKey, 'token-password')}${accessPassword}`)}`;
}
