/**
 * The session token: what a sandbox shows the gateway. Signed, expiring, bound to one life of one session, its repository
 * and its branch; a credential for nothing but the gateway.
 */
import * as z from 'zod';
import type { Config } from '../config/config.ts';
import { fromBase64Url, toBase64Url } from '../lib/base64url.ts';
import { hmac, isHmac } from '../lib/hmac.ts';
import { parseJson } from '../lib/parse-json.ts';
import { deriveKey } from '../store/encryption.ts';
import { RIGHTS, type Right } from './openings.ts';

/** Begins every session token, so that a leaked one is recognised by people, scanners and the log's redaction. */
export const TOKEN_PREFIX = 'cyrus_st_';
/** How long a token is valid unless told otherwise, in ms: a day, longer than any turn. */
export const TOKEN_TTL_MS = 24 * 3_600_000;
const MAX_TOKEN_LENGTH = 4_096;

const claimsSchema = z.object({
  /** Session: the Durable Object's id, 64 hex digits. */
  s: z.string(),
  /** Workspace id. */
  w: z.string(),
  /** Repository, `owner/name`. */
  r: z.string(),
  /** The one branch the session may push. */
  b: z.string(),
  /** Generation of the session's sandbox. */
  g: z.number().int().positive(),
  /** Digest of the workspace and the repository's clone address; left out in tokens of before. */
  i: z.string().optional(),
  /** Models that Claude was started with, by alias or name; left out in tokens of before. */
  m: z.array(z.string()).optional(),
  /** The role only looks: nothing is pushed or stored for other sessions, and no tool that writes is called. */
  ro: z.literal(true).optional(),
  /** Name of the role, for the log; left out in tokens of before. */
  o: z.string().max(40).optional(),
  /** What the role may do besides looking; left out in tokens of before. */
  d: z.array(z.enum(RIGHTS)).max(RIGHTS.length).optional(),
  /** Key of the issue, `ENG-12`, for the log; left out in tokens of before, or if it is not known. */
  k: z.string().max(40).optional(),
  /** Where the sandbox runs; left out in tokens of before. One of a container is worth nothing on the public way. */
  p: z.enum(['container', 'network']).optional(),
});
/** Who calls the gateway: session `s`, workspace `w`, repository `r`, branch `b`, generation `g`, placement `p`, role `o`, rights `d`, issue `k`. */
export type Claims = z.infer<typeof claimsSchema>;

/**
 * What is in every token of a session, and nowhere else: the beginning of the payload, which names the session first. With less
 * than the beginning of it, the session's id in base64 would be taken for a token.
 */
export function tokenMark(sessionId: string): string {
  return toBase64Url(utf8.encode(JSON.stringify({ s: sessionId })).subarray(0, 36));
}

/** As signed: with the expiry `e` in seconds since the epoch. */
const payloadSchema = claimsSchema.extend({ e: z.number().int() });

/** Why a token is refused. `malformed`: none of ours; `forged`: ours by its looks, the signature is wrong; `expired`. */
export type TokenProblem = 'malformed' | 'forged' | 'expired';

const utf8 = new TextEncoder();

/**
 * Makes a session token: `cyrus_st_<payload>.<signature>`, both base64url, HMAC-SHA256.
 * @param ttl ms
 * @param now ms since the epoch
 */
export async function mintToken(
  config: Pick<Config, 'encryptionKey'>,
  claims: Claims,
  ttl: number = TOKEN_TTL_MS,
  now: number = Date.now(),
): Promise<string> {
  const { s, w, r, b, g, i, m, ro, p, o, d, k } = claims;
  const payload = toBase64Url(
    utf8.encode(
      JSON.stringify({
        s,
        w,
        r,
        b,
        g,
        ...(i && { i }),
        ...(m && { m }),
        ...(ro && { ro }),
        ...(p && { p }),
        ...(o && { o }),
        ...(d && { d }),
        ...(k && { k }),
        e: Math.ceil((now + ttl) / 1000),
      }),
    ),
  );
  const signed = `${TOKEN_PREFIX}${payload}`;
  return `${signed}.${await hmac(await tokenKey(config), signed)}`;
}

/**
 * Checks a session token; the signature in constant time, before anything in the payload is believed. One signed with the key
 * before is good as well, so that what runs outlives a rotation of the key.
 * @param now ms since the epoch
 */
export async function verifyToken(
  config: Pick<Config, 'encryptionKey'> & Partial<Pick<Config, 'oldEncryptionKey'>>,
  token: string,
  now: number = Date.now(),
): Promise<Claims | TokenProblem> {
  if (!token.startsWith(TOKEN_PREFIX) || token.length > MAX_TOKEN_LENGTH) return 'malformed';
  const [payloadText, signature, ...more] = token.slice(TOKEN_PREFIX.length).split('.');
  const payload = fromBase64Url(payloadText ?? '');
  if (!payload || signature === undefined || !fromBase64Url(signature) || more.length > 0) return 'malformed';
  const signed = `${TOKEN_PREFIX}${payloadText}`;
  const { encryptionKey, oldEncryptionKey } = config;
  const isGenuine =
    (await isHmac(await tokenKey({ encryptionKey }), signed, signature)) ||
    (!!oldEncryptionKey && (await isHmac(await tokenKey({ encryptionKey: oldEncryptionKey }), signed, signature)));
  if (!isGenuine) return 'forged';
  // Signed by us: a payload that cannot be read was written by another version.
  const parsed = payloadSchema.safeParse(parseJson(new TextDecoder().decode(payload)));
  if (!parsed.success) return 'malformed';
  const { e, ...claims } = parsed.data;
  return e * 1000 > now ? claims : 'expired';
}

/** Whose sandbox a token is, for what is looked for in what leaves it. */
export function guardedBy({ s, w, r }: Claims): { session: string; workspace: string; repository: string } {
  return { session: s, workspace: w, repository: r };
}

/** What a token's role may do. One that only looks may do nothing else, whatever else the token says. */
export function rightsOf({ ro, d }: Pick<Claims, 'ro' | 'd'>): readonly Right[] {
  return ro ? [] : (d ?? RIGHTS);
}

function tokenKey(config: Pick<Config, 'encryptionKey'>): Promise<CryptoKey> {
  return deriveKey(config.encryptionKey, 'gateway-token', 'sign');
}
