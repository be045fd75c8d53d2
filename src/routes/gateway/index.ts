/**
 * The gateway's own surface, for sandboxes: `POST /events`, `PUT /patch/:head`, `/checkpoint`, `PUT /shared/:hash`, and the ways out, `/anthropic/…`, `/git/…` and `/mcp/…`.
 * Who calls is known before anything is done: by the session token, and for a container also by what the platform says.
 */
import { waitUntil } from 'cloudflare:workers';
import { type Context, Hono } from 'hono';

import { auth as basicAuth } from 'hono/utils/basic-auth';
import type { Config } from '../../config/config.ts';
import { claudeAccount } from '../../gateway/claude/account.ts';
import { forwardToClaude } from '../../gateway/claude/anthropic.ts';
import { foreignKey } from '../../gateway/claude/refusal.ts';
import { accountFor } from '../../gateway/egress-account.ts';
import type { Fetch } from '../../gateway/forwarding.ts';
import { forwardToGit, refusedByGit } from '../../gateway/git/git.ts';
import type { GitRemote } from '../../gateway/git/host.ts';
import { forwardToLfs, LFS_PATH } from '../../gateway/git/lfs.ts';
import type { OwnCommits } from '../../gateway/git/own-commits.ts';
import { Remotes } from '../../gateway/git/remotes.ts';
import { forwardToSubmodule } from '../../gateway/git/submodules.ts';
import type { WorkflowHold } from '../../gateway/git/workflow-hold.ts';
import { closedFor } from '../../gateway/openings.ts';
import { guardOf } from '../../gateway/secrets/guarded-secrets.ts';
import { readReport } from '../../gateway/secrets/reported-secrets.ts';
import type { SecretSearch, Wanted } from '../../gateway/secrets/secret-search.ts';
import { type Claims, guardedBy, TOKEN_PREFIX, type TokenProblem, verifyToken } from '../../gateway/token.ts';
import { fromBase64Url } from '../../lib/base64url.ts';
import { knowIssue, log } from '../../observability/log.ts';
import { MAX_SHARED_BYTES } from '../../protocol/files.ts';
import type { HeldPush } from '../../protocol/held-push.ts';
import { type EventBatchAnswer, type Refusal, readEventBatch } from '../../protocol/sandbox/batches.ts';
import { protocolMismatch, SANDBOX_PROTOCOL } from '../../protocol/version.ts';
import { isContainerOf } from '../../sandbox/container.ts';
import { settledConfig } from '../../store/settings.ts';
import { bodyLimit } from '../middleware/body-limit.ts';
import { stubOf } from '../middleware/needs.ts';
import { askOf } from './asks.ts';
import { refuseBytes, sizedBody } from './bounded-body.ts';
import { cache } from './cache.ts';
import type { CacheGround } from './cache-rules.ts';
import { checkpoints } from './checkpoints.ts';
import { egressObserver, raiseAlarm } from './egress.ts';
import { passToMcp } from './mcp.ts';
import { takePatch } from './patch.ts';
import { refuse } from './problem.ts';
import { heardOf } from './sandbox-silence.ts';
import { takeSharedFile } from './shared-files.ts';
import { type AskStanding, refuseClosed, Standings } from './standing.ts';

/** Largest batch of events, in bytes: what the platform carries to an object in one call. */
const MAX_EVENTS_BYTES = 32 * 1024 * 1024;

/** Set by the outbound handler for a call of a container: the id of the container's object. */
type GatewayBindings = Env & { CALLING_CONTAINER?: string };
type GatewayEnv = { Bindings: GatewayBindings; Variables: { claims: Claims; config: Config; ground: CacheGround } };
type GatewayContext = Context<GatewayEnv>;
type Identify = (c: GatewayContext) => Promise<Claims | Refusal>;

/**
 * Makes the gateway's routes.
 * @param options `base`: the path they are mounted at, without trailing slash; `identify`: finds out who calls (a refusal is
 * answered 401), by the session token unless told otherwise; `fetcher`: the way into the world; `standing`: finds out the state
 * of the session, by asking it unless told otherwise
 */
export function gatewayApp(options: {
  base: string;
  identify?: Identify;
  fetcher?: Fetch;
  standing?: AskStanding;
}): Hono<GatewayEnv> {
  const { identify = byNetwork, fetcher = (request: Request) => fetch(request) } = options;
  const remotes = new Remotes();
  const standings = new Standings(options.standing);
  const app = new Hono<GatewayEnv>();

  app.use(async (c, next) => {
    const config = await settledConfig(c.env, null);
    c.set('config', config);
    const claims = await identify(c);
    if ('error' in claims) return unauthorized(c, claims, options.base);
    c.set('claims', claims);
    knowIssue(claims.s, claims.k);
    const path = c.req.path.slice(options.base.length);
    // Events and manifests are judged by the session itself, by the same table, together with what they say.
    if (path === '/events' || path === '/checkpoint' || path === '/checkpoint/') return next();
    const ask = askOf(c.req.method, path, new URL(c.req.url).search);
    const closed = await standings.closed(c.env, config, claims, ask);
    // Git prints a refusal for each ref of a push.
    if (closed === null || (closed.error === 'read_only' && ask === 'push')) return next();
    log('gateway.session.closed', { path: c.req.path, session: claims.s, ask, reason: closed.error });
    return refuseClosed(c, path, closed);
  });

  app.post(
    '/events',
    bodyLimit({
      maxSize: MAX_EVENTS_BYTES,
      onError: () => refuse(413, 'too_large', `a batch has at most ${MAX_EVENTS_BYTES} bytes`),
    }),
    async (c) => {
      const search = await guardOf(c.env, c.var.config, guardedBy(c.var.claims));
      const { value, leaving } = readReport(search, await c.req.text().catch(() => ''));
      const read = readEventBatch(value);
      if (!read.ok) return refuse(400, 'malformed', read.why);
      const { batch } = read;
      const mismatch = protocolMismatch(
        { name: 'this Worker', protocol: SANDBOX_PROTOCOL },
        { name: 'the sandbox server', protocol: batch.protocol },
      );
      if (mismatch !== null) return refuse(409, 'protocol', mismatch);
      const { claims } = c.var;
      if (batch.generation !== claims.g) {
        return refuse(403, 'wrong_generation', `this token is for generation ${claims.g} of the session`);
      }
      const session = c.env.ISSUE_SESSION.get(c.env.ISSUE_SESSION.idFromString(claims.s));
      // Before what it says can lead to an answer or a pull request.
      const isHeard = async () => closedFor('report', await session.standing(claims.g), []) === null;
      if (leaving && (await isHeard())) await raiseAlarm(c.env, claims.s, leaving);
      const ingested = await session.ingest(batch);
      if (ingested.kind === 'superseded') return refuse(409, 'superseded', ingested.message);
      if (ingested.kind === 'read-only') return refuse(503, 'read_only', ingested.message);
      const { stored, watched, isAwaited } = ingested;
      // The platform tells of a container's end.
      if (claims.p !== 'container') heardOf(claims.s, isAwaited, () => session.lookAfterSandbox(), waitUntil);
      return c.json({ stored, watched, protocol: SANDBOX_PROTOCOL } satisfies EventBatchAnswer);
    },
  );

  app.put('/patch/:head', (c) => takePatch(c.req.raw, c.req.param('head'), { env: c.env, ...c.var }));

  app.route('/checkpoint', checkpoints);

  app.use('/cache/*', (c, next) => {
    const { claims, config } = c.var;
    const standing = () => standings.now(c.env, config, claims);
    c.set('ground', { env: c.env, config, claims, remotes, fetcher, standing });
    return next();
  });
  app.route('/cache', cache);

  app.put('/shared/:hash', async (c) => {
    const { config, claims } = c.var;
    const sized = sizedBody(c.req.raw, 'a shared file', MAX_SHARED_BYTES);
    if (sized instanceof Response) return sized;
    const over = await refuseBytes(c.env, claims.s, sized.bytes);
    if (over) return over;
    const guard = {
      search: await guardOf(c.env, config, guardedBy(claims)),
      onSecret: (secret: Wanted) => raiseAlarm(c.env, claims.s, { secret, place: 'a file that Claude shared' }),
    };
    return takeSharedFile(c.req.raw, c.env.LOGS, claims.s, c.req.param('hash'), guard);
  });

  app.all('/anthropic/*', (c) => {
    const path = below(c.req.raw, `${options.base}/anthropic`);
    const { config, claims } = c.var;
    const observer = egressObserver(c.env, claims.s);
    const passage = { observer, secrets: null, host: new URL(config.claude.apiUrl).host, path };
    const asker = { session: claims.s, workspace: claims.w, repository: claims.r };
    const account = claudeAccount(c.env);
    return accountFor(c.req.raw, passage, fetcher, (request, outgoing) =>
      forwardToClaude(request, path, config, {
        asker,
        ...(claims.m && { models: claims.m }),
        account,
        fetcher: outgoing,
        later: waitUntil,
      }),
    );
  });

  app.all('/git/*', async (c) => {
    const { claims, config } = c.var;
    const remote = await remotes.find(c.env.DB, config, claims);
    if ('status' in remote) return refusedByGit(remote);
    const path = below(c.req.raw, `${options.base}/git/`);
    const observer = egressObserver(c.env, claims.s);
    const secrets = await guardOf(c.env, config, guardedBy(claims));
    const ownLfs = `${claims.r}.git/${LFS_PATH}`;
    if (path.startsWith(ownLfs)) {
      const { origin } = new URL(c.req.url);
      const addresses = { resource: path.slice(ownLfs.length), base: `${origin}${options.base}/git/${ownLfs}` };
      return forwardToLfs(c.req.raw, { ...addresses, claims, remote, keys: config, observer, secrets, fetcher });
    }
    const { host } = new URL(remote.cloneUrl);
    const passage = { observer, secrets, host, path: `/${path}` };
    return accountFor(c.req.raw, passage, fetcher, (request, outgoing) =>
      forwardToGit(
        request,
        path,
        claims,
        remote,
        outgoing,
        undefined,
        ownCommitsOf(c.env, claims),
        { search: secrets, onSecret: (secret, commit) => raiseAlarm(c.env, claims.s, { secret, commit }) },
        holdOf(c.env, claims, remote, secrets),
      ),
    );
  });

  app.all('/modules/*', async (c) => {
    const { claims, config } = c.var;
    const [, encoded = '', resource = ''] = /^([\w-]+)\/(.+)$/.exec(below(c.req.raw, `${options.base}/modules/`)) ?? [];
    const url = new TextDecoder().decode(fromBase64Url(encoded) ?? new Uint8Array());
    const remote = await remotes.findModule(c.env.DB, config, claims, url);
    if ('status' in remote) return refusedByGit(remote);
    const observer = egressObserver(c.env, claims.s);
    const { host, pathname } = new URL(remote.cloneUrl);
    const passage = {
      observer,
      secrets: await guardOf(c.env, config, guardedBy(claims)),
      host,
      path: `${pathname}/${resource}`,
    };
    return accountFor(c.req.raw, passage, fetcher, (request, outgoing) =>
      forwardToSubmodule(request, resource, claims, remote, outgoing),
    );
  });

  app.all('/mcp/:server', (c) => {
    const { claims, config } = c.var;
    const observer = egressObserver(c.env, claims.s);
    return passToMcp(c.req.raw, c.req.param('server'), { env: c.env, config, claims, observer, fetcher });
  });

  app.all('*', () => refuse(404, 'not_found', 'the gateway has no such address'));
  return app;
}

/** For sandboxes that come over the network: the session token alone says who calls. Mounted at `/gateway`. */
export const gateway = gatewayApp({ base: '/gateway' });

const containerGateway = gatewayApp({ base: '', identify: byContainer });
containerGateway.onError((error, c) => {
  log('gateway.request.failed', { path: c.req.path, error });
  return refuse(500, 'internal', 'the gateway failed; its log has the details');
});

/**
 * For containers: answers what a container asks of `http://gateway.internal`, as an outbound handler of @cloudflare/containers.
 * @param caller the platform's word for who calls; a token of another session or another life is refused
 */
export function gatewayForContainers(request: Request, env: Env, caller: { containerId: string }): Promise<Response> {
  return Promise.resolve(containerGateway.fetch(request, { ...env, CALLING_CONTAINER: caller.containerId }));
}

const problems: Record<TokenProblem | 'missing', string> = {
  missing: 'send the session token as Bearer token, as x-api-key, or as the password of basic authentication',
  malformed: 'this is not a session token of this Cyrus; the sandbox gets one when its session is started',
  forged:
    'the session token was not signed here, or with an ENCRYPTION_KEY that has been replaced: start the session again',
  expired: 'the session token has expired: start the session again to get a new one',
};

async function byToken(c: GatewayContext): Promise<Claims | Refusal> {
  const token = tokenOf(c.req.raw);
  const claims = token === null ? 'missing' : await verifyToken(c.var.config, token);
  if (typeof claims === 'string') return { error: `token_${claims}`, message: problems[claims] };
  // A token of another deployment with the same key names objects of that one.
  const isOurs = stubOf(c.env, claims.s) !== null;
  return isOurs ? claims : { error: 'token_malformed', message: problems.malformed };
}

/** A container has a way of its own: on the public one its token was carried off. */
async function byNetwork(c: GatewayContext): Promise<Claims | Refusal> {
  const claims = await byToken(c);
  if ('error' in claims || claims.p !== 'container') return claims;
  return { error: 'token_of_container', message: 'this session token is valid only in its container' };
}

/** What a session has pushed is kept by its object: a sandbox that is lost, or lies, changes nothing of it. */
function ownCommitsOf(env: Env, { s, b }: Claims): OwnCommits {
  const session = env.ISSUE_SESSION.get(env.ISSUE_SESSION.idFromString(s));
  return {
    all: async () => new Map((await session.pushedCommits()).map(({ id, parents }) => [id, parents])),
    confirm: (tip) => session.noteTip(tip),
    branch: async () => (await session.branch()) ?? b,
    add: (commits) => session.notePushed([...commits].map(([id, parents]) => ({ id, parents: [...parents] }))),
  };
}

/** Where changes to what runs at the host wait for people; null: they do not. */
function holdOf(env: Env, { s }: Claims, { held }: GitRemote, secrets: SecretSearch): WorkflowHold | null {
  if (!held) return null;
  const session = env.ISSUE_SESSION.get(env.ISSUE_SESSION.idFromString(s));
  const isAllowed = (fingerprint: string) => session.isPushAllowed(fingerprint);
  const bases = async () => [...new Set([held.baseBranch, (await session.baseBranch()) ?? held.baseBranch])];
  const onHeld = async (push: HeldPush) => {
    const secret = secrets.firstIn(push.diff);
    if (secret === null) {
      await session.noteHeldPush(push);
      return null;
    }
    await raiseAlarm(env, s, { secret, place: 'a change of what runs on the git host' });
    return 'a credential is in what is pushed, so nothing of it was handed on or shown to people, and the session is stopped';
  };
  return { bases, paths: held.paths, isAllowed, onHeld };
}

/** The token says which session; the platform says which container. Both must agree, so a stolen token opens nothing. */
async function byContainer(c: GatewayContext): Promise<Claims | Refusal> {
  const claims = await byToken(c);
  if ('error' in claims) return claims;
  return isContainerOf(c.env, c.env.CALLING_CONTAINER ?? '', claims.s, claims.g)
    ? claims
    : { error: 'token_of_another', message: 'this session token belongs to another container' };
}

function tokenOf(request: Request): string | null {
  const bearer = /^Bearer +(\S+)$/i.exec(request.headers.get('authorization') ?? '')?.[1];
  return bearer ?? request.headers.get('x-api-key') ?? basicAuth(request)?.password ?? null;
}

/** An API key where the session token belongs: it would be charged. */
function showsForeignKey(request: Request): boolean {
  const key = request.headers.get('x-api-key');
  return key !== null && !key.startsWith(TOKEN_PREFIX);
}

function unauthorized(c: GatewayContext, why: Refusal, base: string): Response {
  log('gateway.token.refused', { path: c.req.path, reason: why.error });
  if (c.req.path.startsWith(`${base}/anthropic/`)) {
    if (c.var.config.claude.access.mode === 'subscription' && showsForeignKey(c.req.raw)) return foreignKey();
    // In the API's own shape, so that the CLI shows it; trying again cannot help.
    const error = { type: 'authentication_error', message: `Cyrus: ${why.message}` };
    return c.json({ type: 'error', error }, 401, { 'x-should-retry': 'false' });
  }
  // Git sends what it knows only after it was asked.
  return c.json(why, 401, { 'www-authenticate': 'Basic realm="Cyrus gateway"' });
}

/** The path after the prefix as it came, undecoded (Hono's own is decoded); empty when the prefix was written another way. */
function below(request: Request, prefix: string): string {
  const { pathname } = new URL(request.url);
  return pathname.startsWith(prefix) ? pathname.slice(prefix.length) : '';
}
