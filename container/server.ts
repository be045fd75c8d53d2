/**
 * The sandbox server: where git and the Claude CLI run. One and the same behind a Cloudflare Container, on a VPS and as
 * the local process of `npm start`. The protocol is src/protocol/sandbox/.
 *
 *     node container/server.ts        settings by environment, see config.ts
 */

import { createHash, randomUUID, timingSafeEqual } from 'node:crypto';
import { chmod, mkdir, readdir, readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { z } from 'zod';
import { isLoopback } from '../src/lib/loopback.ts';
import { sandboxCommandSchema } from '../src/protocol/sandbox/commands.ts';
import { startSessionSchema } from '../src/protocol/sandbox/start.ts';
import { protocolMismatch, protocolSchema, SANDBOX_PROTOCOL } from '../src/protocol/version.ts';
import { claudeVersion } from './claude/claude-command.ts';
import { elapsedMs, steadyNow } from './clock.ts';
import { readSandboxConfig, type SandboxConfig, SandboxConfigError } from './config.ts';
import { diskOf, isDiskFull, refuseFullDisk } from './files/disk-space.ts';
import { onlyBelow } from './files/inside.ts';
import { removeStaleLocks } from './git/mirror.ts';
import { Refusal, readJson } from './http.ts';
import { log } from './log.ts';
import { SESSION_ID, sessionPaths } from './paths.ts';
import { Session, type WallOf } from './session/session.ts';
import { SessionUsers } from './walls/session-users.ts';
import { SessionWall } from './walls/session-wall.ts';
import { findWalls, limitsInWords, type Walls } from './walls/walls.ts';

export const SANDBOX_VERSION = '0.1.0';

/** A start, of which the version is looked at first: one that is too far away may have any shape. */
const startSchema = z
  .looseObject({ protocol: protocolSchema })
  .transform((body) => {
    const mismatch = protocolMismatch(
      { name: 'this sandbox server', protocol: SANDBOX_PROTOCOL },
      { name: 'the Worker', protocol: body.protocol },
    );
    if (mismatch !== null) throw new Refusal(409, 'protocol', `${mismatch}.`);
    return body;
  })
  .pipe(startSessionSchema);

export interface SandboxServer {
  /** `http://host:port`, the port really taken. */
  url: string;
  /** Ends gracefully: saves every session, makes a checkpoint, and posts what is left, within `shutdownMs`. */
  close: () => Promise<void>;
}

/** Where the image's build writes its digest (container/Dockerfile): beside this folder. */
export const DIGEST_FILE = join(import.meta.dirname, '..', 'digest');

/** @returns `sha256:…`; null if the server runs from the project's own folder instead of an image */
async function imageDigest(): Promise<string | null> {
  const text = await readFile(DIGEST_FILE, 'utf8').catch(() => '');
  return text.trim() || null;
}

/**
 * Starts the server and takes up the sessions that lie on its disk.
 * @throws when the address cannot be listened on or the root cannot be written
 */
export async function startSandboxServer(config: SandboxConfig): Promise<SandboxServer> {
  const bootId = randomUUID();
  const startedAt = steadyNow();
  const cliVersion = claudeVersion(config.claudeBin);
  const digest = imageDigest();
  const { walls, wallOf, users } = await raiseWalls(config);
  const sessions = await takeUpSessions(config, bootId, wallOf);
  const creating = new Map<string, Promise<Session>>();
  /** Ends of removals that are under way. */
  const purging = new Map<string, Promise<unknown>>();
  let closing = false;

  /** Answers a request; what it throws becomes a refusal. */
  async function route(request: IncomingMessage): Promise<{ status: number; body: unknown }> {
    const url = new URL(request.url ?? '/', 'http://sandbox');
    const [, first, id, rest, ...more] = url.pathname.split('/');
    if (request.method === 'GET' && url.pathname === '/health') {
      const uptimeMs = elapsedMs(startedAt);
      const atWork = [...sessions.values()].filter(({ status }) => ['preparing', 'working'].includes(status.state));
      return {
        status: 200,
        body: {
          version: SANDBOX_VERSION,
          digest: await digest,
          claude: await cliVersion,
          walls: walls.kind,
          uptimeMs,
          sessions: sessions.size,
          disk: await diskOf(config.root),
          atWork: atWork.length,
        },
      };
    }
    if (config.secret === null && isLoopback(config.host) && !isLoopback(hostOf(request))) {
      // A page in a browser may give its own name the address 127.0.0.1; its requests still carry the name.
      throw new Refusal(
        403,
        'wrong-host',
        'Without CYRUS_SANDBOX_SECRET only requests to a loopback name are answered.',
      );
    }
    if (!isAllowed(config.secret, request.headers.authorization)) {
      throw new Refusal(401, 'unauthorized', 'Authorization must be "Bearer" and the value of CYRUS_SANDBOX_SECRET.');
    }
    if (first !== 'sessions' || id === undefined || more.length > (rest === 'files' ? 1 : 0)) throw notFound();
    if (!SESSION_ID.test(id)) {
      throw new Refusal(400, 'bad-session-id', 'A session id has 1 to 128 letters, digits, "-" and "_".');
    }
    if (closing) throw new Refusal(503, 'closing', 'The sandbox server is shutting down; try again on the next one.');
    if (rest === undefined) return await sessionRoute(request, id, url.searchParams);
    if (rest === 'commands' && request.method === 'POST') {
      const command = await readJson(request, sandboxCommandSchema);
      known(id).command(command);
      return { status: 202, body: known(id).status };
    }
    if (rest === 'files') return await filesRoute(request, known(id), more[0]);
    throw notFound();
  }

  /** `GET …/files`, and `PUT …/files/:name` with the file as body. */
  async function filesRoute(request: IncomingMessage, session: Session, name: string | undefined) {
    if (name === undefined && request.method === 'GET')
      return { status: 200, body: { files: await session.givenFiles() } };
    if (name !== undefined && request.method === 'PUT')
      return { status: 201, body: await session.takeFile(name, request) };
    throw new Refusal(
      405,
      'method-not-allowed',
      'Files are listed with GET, and each is given with PUT under its name.',
    );
  }

  async function sessionRoute(request: IncomingMessage, id: string, query: URLSearchParams) {
    switch (request.method) {
      case 'PUT': {
        const start = await readJson(request, startSchema);
        return { status: 200, body: await startSession(id, start) };
      }
      case 'GET':
        return { status: 200, body: known(id).status };
      case 'DELETE': {
        await purged(id);
        const session = known(id);
        const purge = query.get('purge') === 'true';
        const upTo = Number(query.get('generation') ?? Number.MAX_SAFE_INTEGER);
        await (purge ? purgeSession(id, session, upTo) : session.remove({ purge, upTo }));
        return { status: 200, body: session.status };
      }
      default:
        throw new Refusal(405, 'method-not-allowed', 'A session takes PUT, GET and DELETE.');
    }
  }

  /** Waits for a removal that is under way. */
  async function purged(id: string): Promise<void> {
    for (let over = purging.get(id); over; over = purging.get(id)) await over;
  }

  /** Deletes a session with its files. A start that comes meanwhile waits, and begins a new one. @throws Refusal as `Session.remove` */
  async function purgeSession(id: string, session: Session, upTo: number): Promise<void> {
    const removed = session.remove({ purge: true, upTo }).then(() => {
      if (sessions.get(id) !== session) return;
      sessions.delete(id);
      users?.free(id);
    });
    const over = removed.then(
      () => purging.delete(id),
      () => purging.delete(id),
    );
    purging.set(id, over);
    await removed;
  }

  async function startSession(id: string, start: z.infer<typeof startSessionSchema>) {
    await purged(id);
    const session = sessions.get(id);
    if (session) return await session.start(start);
    const running = creating.get(id);
    if (running) return await (await running).start(start);
    if (start.knows !== undefined) {
      throw new Refusal(410, 'lost', "This session's data is no longer here; start a new generation.");
    }
    if (!config.mayRun(walls.kind)) throw withoutWalls(walls.why);
    // Known from this moment on: another start at the same time waits for it.
    const created = refuseFullDisk(config.root).then(() => Session.create(config, bootId, id, start, wallOf));
    creating.set(id, created);
    try {
      const fresh = await created;
      sessions.set(id, fresh);
      return fresh.status;
    } finally {
      creating.delete(id);
    }
  }

  function known(id: string): Session {
    const session = sessions.get(id);
    if (!session) throw new Refusal(404, 'no-session', 'There is no such session here; start it with PUT.');
    return session;
  }

  const server = createServer((request, response) => {
    void route(request)
      .catch((error: unknown) => refused(error, request))
      .then(({ status, body }) => answer(response, status, body));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(config.port, config.host, resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : config.port;
  const url = `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`;
  log('server.http.listening', { url, bootId, root: config.root, sessions: sessions.size });

  let closed: Promise<void> | null = null;
  async function close(): Promise<void> {
    closing = true;
    server.close();
    await Promise.all([...sessions.values()].map((session) => session.shutDown(config.shutdownMs)));
    server.closeAllConnections();
    log('server.http.ended');
  }
  return {
    url,
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}

interface Raised {
  walls: Walls;
  wallOf: WallOf;
  users: SessionUsers | null;
}

/** Finds out what separates sessions on this machine, says it, and has it ready. */
async function raiseWalls(config: SandboxConfig): Promise<Raised> {
  const { root, claudeBin, hidden, limits } = config;
  // What every session's user has to get through; what is in it is not listed for them.
  for (const folder of [root, join(root, 'sessions'), join(root, 'mirrors')]) {
    await mkdir(folder, { recursive: true, mode: 0o711 });
    if (process.getuid?.() === 0) await chmod(folder, 0o711);
  }
  const walls = findWalls({ setting: config.walls, root, claudeBin, hidden, limits });
  const { kind, hasView, why, firstUser } = walls;
  log(why === null ? 'server.walls.raised' : 'server.walls.incomplete', {
    walls: kind,
    hasView,
    limits: limitsInWords(walls),
    ...(why !== null && { why }),
  });
  onlyBelow(kind === 'none' ? null : root);
  const users = firstUser === null ? null : new SessionUsers(root, firstUser);
  const wallOf: WallOf = (id) => new SessionWall(walls, sessionPaths(root, id).dir, users?.of(id) ?? null);
  return { walls, wallOf, users };
}

function withoutWalls(why: string | null): Refusal {
  return new Refusal(
    503,
    'no-walls',
    `This sandbox server cannot separate sessions: ${why}. Fix that, or set CYRUS_WALLS=none if all of its sessions may see each other’s work (docs/sandboxes.md, “Walls”).`,
  );
}

async function takeUpSessions(config: SandboxConfig, bootId: string, wallOf: WallOf): Promise<Map<string, Session>> {
  const directory = join(config.root, 'sessions');
  await removeStaleLocks(config.root);
  const sessions = new Map<string, Session>();
  for (const id of await readdir(directory)) {
    if (!SESSION_ID.test(id)) continue;
    try {
      const session = await Session.reopen(config, bootId, id, wallOf);
      if (session) sessions.set(id, session);
    } catch (error) {
      // One session that cannot be taken up must not keep the others down; a start will say what is wrong.
      log('server.session_resume.failed', { sessionId: id, error });
    }
  }
  return sessions;
}

/** Compared as digests: equal length, and no hint by the time it takes. */
function isAllowed(secret: string | null, header: string | undefined): boolean {
  if (secret === null) return true;
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(`Bearer ${secret}`), digest(header ?? ''));
}

function hostOf(request: IncomingMessage): string {
  return (request.headers.host ?? '').replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
}

function notFound(): Refusal {
  return new Refusal(404, 'not-found', 'This server has /health and /sessions/:id.');
}

function refused(error: unknown, request: IncomingMessage): { status: number; body: unknown } {
  if (error instanceof Refusal) return { status: error.status, body: { error: error.word, message: error.message } };
  if (isDiskFull(error)) {
    log('server.disk.full', { method: request.method, path: request.url });
    return { status: 507, body: { error: 'disk-full', message: 'There is no space left on its disk.' } };
  }
  log('server.request.failed', { method: request.method, path: request.url, error });
  return { status: 500, body: { error: 'internal', message: 'The sandbox server failed; its log says why.' } };
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  // A body that was not read to its end (too large) must not be taken for the next request.
  const connection: Record<string, string> = status === 413 ? { connection: 'close' } : {};
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    ...connection,
  });
  response.end(text);
}

/** The entry point: settings from the environment, a graceful end on SIGTERM and SIGINT. */
async function main(): Promise<void> {
  // Read once; no child and no core file is to have it.
  const config = readSandboxConfig(process.env);
  delete process.env.CYRUS_SANDBOX_SECRET;
  // The image has it for the server alone (container/walls/unreadable-memory.c).
  delete process.env.LD_PRELOAD;
  // Mirrors are read by every session's user.
  process.umask(0o022);
  const server = await startSandboxServer(config);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      log('server.process.ending', { signal });
      void server.close().finally(() => process.exit(0));
    });
  }
}

if (import.meta.main) {
  main().catch((error: unknown) => {
    if (error instanceof SandboxConfigError)
      for (const problem of error.problems) log('server.config.invalid', { problem });
    else log('server.start.failed', { error });
    process.exit(1);
  });
}
