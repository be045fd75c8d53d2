/** Asks for the state of a session before anything is done for its sandbox, and remembers the answer for a moment. */
import type { Context } from 'hono';
import * as z from 'zod';
import type { Config } from '../../config/config.ts';
import { type Ask, type Closed, closedFor, type Standing } from '../../gateway/openings.ts';
import { type Claims, rightsOf } from '../../gateway/token.ts';
import { asError } from '../../lib/error.ts';
import { settledWithin } from '../../lib/timeout.ts';
import { log } from '../../observability/log.ts';
import { openDatabase } from '../../store/database.ts';
import { findRepositoryGround } from '../../store/workspaces/repositories.ts';
import { refuse } from './problem.ts';

/** How long an answer that opens something counts, in ms: so long may something pass after the end of its turn. */
const STANDING_MS = 2_000;
/** How long a workspace and its repository are believed to be as they were, in ms. */
const GROUND_MS = 10_000;
/** The database is for what changes rarely: a request does not wait for it longer than this, in ms. */
const GROUND_WAIT_MS = 1_000;
const MAX_KNOWN = 1_000;

/** Finds out where the session of a token stands. */
export type AskStanding = (env: Env, config: Config, claims: Claims) => Promise<Standing>;

interface Known {
  standing: Standing;
  until: number;
}

/** What the gateway knows of sessions, in this instance of the Worker. */
export class Standings {
  readonly #ask: AskStanding;
  readonly #known = new Map<string, Known>();

  constructor(ask: AskStanding = askSession) {
    this.#ask = ask;
  }

  /**
   * Whether the token of a sandbox opens what it asks for. What was heard a moment ago may open it; nothing is refused, and
   * nothing kept that later sessions run, without asking the session now.
   * @returns null if it is open; else why not
   */
  async closed(env: Env, config: Config, claims: Claims, ask: Ask): Promise<Closed | null> {
    const rights = rightsOf(claims);
    const key = `${claims.s} ${claims.g} ${claims.w} ${claims.r}`;
    const known = ask === 'keep-setup' ? undefined : this.#known.get(key);
    if (known && known.until > Date.now() && closedFor(ask, known.standing, rights) === null) return null;
    const standing = await this.now(env, config, claims);
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(key, { standing, until: Date.now() + STANDING_MS });
    return closedFor(ask, standing, rights);
  }

  /** The state of the session, asked now. */
  now(env: Env, config: Config, claims: Claims): Promise<Standing> {
    return this.#ask(env, config, claims);
  }
}

/** The session's object says its state, the database whether workspace and repository are still Cyrus's. */
async function askSession(env: Env, config: Config, claims: Claims): Promise<Standing> {
  const session = env.ISSUE_SESSION.get(env.ISSUE_SESSION.idFromString(claims.s));
  const [standing, lost] = await Promise.all([session.standing(claims.g), groundLost(env, config, claims)]);
  const isOver = standing.stage === 'unknown' || standing.stage === 'other-life';
  return lost === null || isOver ? standing : { ...standing, stage: 'withdrawn', mayWake: false, words: lost };
}

const grounds = new Map<string, { lost: string | null; until: number }>();

/** Why nothing more is to be done for a session of this workspace and repository; null if there is no reason, or none is known. */
async function groundLost(env: Env, config: Config, { w, r }: Claims): Promise<string | null> {
  const key = JSON.stringify([w, r]);
  const known = grounds.get(key);
  if (known && known.until > Date.now()) return known.lost;
  const lost = await settledWithin(GROUND_WAIT_MS, readGround(env, config, w, r)).catch((error: unknown) => {
    log('gateway.session_ground.unknown', { repository: r, error: asError(error) });
    return null;
  });
  if (grounds.size >= MAX_KNOWN) grounds.clear();
  // A database that is away ends no turn that is under way.
  const found = lost === 'late' ? null : lost;
  grounds.set(key, { lost: found, until: Date.now() + (found === null ? GROUND_MS : STANDING_MS) });
  return found;
}

async function readGround(env: Env, config: Config, workspaceId: string, fullName: string): Promise<string | null> {
  const database = openDatabase(env.DB, config.encryptionKey, config.oldEncryptionKey);
  const ground = await findRepositoryGround(database, workspaceId, fullName);
  if (ground === null) return `the repository ${fullName} is no longer configured`;
  return ground === 'revoked' ? 'Cyrus was removed from the workspace of this session' : null;
}

/** A refusal in the shape that the caller's client expects. @param path below the gateway's address */
export async function refuseClosed(c: Context, path: string, { error, message }: Closed): Promise<Response> {
  if (path.startsWith('/anthropic/')) {
    const body = { type: 'error', error: { type: 'permission_error', message: `Cyrus: ${message}` } };
    return c.json(body, 403, { 'x-should-retry': 'false' });
  }
  if (/^\/(git|modules)\//.test(path) && !path.includes('/info/lfs/')) {
    const headers = { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-cache' };
    return c.text(`Cyrus: ${message}\n`, 403, headers);
  }
  if (path.startsWith('/mcp/')) {
    const id = await callId(c.req.raw);
    const body = { jsonrpc: '2.0', id, error: { code: -32_001, message: `Cyrus: ${message}` } };
    // What answers a call is an answer; a client reads no refusal that has another status.
    return c.json(body, id === null ? 403 : 200);
  }
  const isOver = error === 'superseded' || error === 'no_such_session';
  return refuse(isOver ? 409 : 403, error, message);
}

/** Longest MCP request whose id is looked for, in bytes. */
const MAX_CALL_BYTES = 64 * 1024;

/** The id of the call that an MCP request makes; null if it cannot be read. */
async function callId(request: Request): Promise<string | number | null> {
  const length = Number(request.headers.get('content-length') ?? Number.NaN);
  if (request.method !== 'POST' || !(length <= MAX_CALL_BYTES)) return null;
  const parsed = callSchema.safeParse(await request.json().catch(() => null));
  return parsed.success ? parsed.data.id : null;
}

const callSchema = z.object({ id: z.union([z.string(), z.number()]) });
