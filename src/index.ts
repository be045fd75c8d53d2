/** The Worker: its routes, and the Durable Object classes it exports. */
import { env as bindings, waitUntil } from 'cloudflare:workers';
import { ContainerProxy, type OutboundHandler } from '@cloudflare/containers';
import { Hono } from 'hono';
import { ClaudeAccount } from './gateway/claude/account.ts';
import { isNamed, isObjectAway } from './lib/error.ts';
import { isLoopback } from './lib/loopback.ts';
import { LinearWorkspace } from './linear/workspace.ts';
import { log, onLog } from './observability/log.ts';
import { tellOfLog } from './operations/alerts/tell.ts';
import { clean } from './operations/cleaning.ts';
import { reportError } from './operations/errors/report.ts';
import { RateLimiter } from './operations/limits/rate-limiter.ts';
import { Operations } from './operations/operations.ts';
import { watch } from './operations/watch.ts';
import type { ApiError } from './protocol/api.ts';
import { WorkspaceQueue } from './queue/workspace-queue.ts';
import { doctor } from './routes/admin/doctor.ts';
import { admin } from './routes/admin/index.ts';
import { api } from './routes/api/index.ts';
import { gateway, gatewayForContainers } from './routes/gateway/index.ts';
import { outbound, refuseOutbound } from './routes/gateway/outbound-fetch.ts';
import { hasNetworkSandboxes } from './routes/gateway/placement.ts';
import { health } from './routes/health/index.ts';
import { metrics } from './routes/health/metrics.ts';
import { install } from './routes/install/index.ts';
import { oauth } from './routes/install/oauth.ts';
import { access } from './routes/middleware/browser-access.ts';
import { headRequests } from './routes/middleware/head-requests.ts';
import { needs, type PeopleEnv, servesOthers } from './routes/middleware/needs.ts';
import { RememberingRouter } from './routes/middleware/remembering-router.ts';
import { apiLimit } from './routes/middleware/request-limit.ts';
import { securityHeaders } from './routes/middleware/security-headers.ts';
import { socketRefusal } from './routes/middleware/socket-refusal.ts';
import { auditLog } from './routes/people/audit.ts';
import { me } from './routes/people/index.ts';
import { byShareLink } from './routes/sessions/by-share-link.ts';
import { sessions } from './routes/sessions/index.ts';
import { signInRoutes } from './routes/sign-in/index.ts';
import { gitHubWebhook } from './routes/webhooks/github.ts';
import { linearWebhook } from './routes/webhooks/linear.ts';
import { takeMissedWebhooks } from './routes/webhooks/missed-github.ts';
import {
  type ContainerRules,
  GATEWAY_HOST,
  LargeSandboxContainer,
  OUTBOUND_HANDLER,
  SandboxContainer,
  SmallSandboxContainer,
} from './sandbox/sandbox-container.ts';
import { IssueSession } from './session/issue-session.ts';
import { isDatabaseError } from './store/database.ts';

const app = new Hono<PeopleEnv>({ router: new RememberingRouter() });
const NO_SUCH_ADDRESS: ApiError = { error: 'not_found', message: 'There is no such address.' };

app.use(headRequests);
app.use(securityHeaders);
app.use('/webhooks/linear/*', servesOthers('signature of Linear'));
app.use('/webhooks/github/*', servesOthers('signature of GitHub'));
app.route('/webhooks/linear', linearWebhook);
app.route('/webhooks/github', gitHubWebhook);
app.use('/gateway/*', servesOthers('session token'));
app.all('/gateway/*', async (c, next) => ((await hasNetworkSandboxes(c.env)) ? next() : c.json(NO_SUCH_ADDRESS, 404)));
app.route('/gateway', gateway);
// Before the others: it has to say what keeps them from working.
app.route('/api/admin/doctor', doctor);
app.route('/api/admin', admin);
app.route('/', health);
app.route('/', metrics);

// Programs: before what lets people in.
app.route('/api/v1', api);

app.route('/', signInRoutes);
// Who has a share link need not sign in.
app.route('/api/share-links', byShareLink);

app.use('/api/sessions/*', socketRefusal);
app.use(access);
app.use('/api/*', apiLimit);
app.route('/api/me', me);
app.route('/api/audit', auditLog);
app.route('/api/sessions', sessions);
app.route('/install', install);
app.route('/oauth', oauth);
app.all('/api/*', needs('page.open'), (c) => c.json(NO_SUCH_ADDRESS, 404));
app.get('*', needs('page.open'), (c) => c.env.ASSETS.fetch(c.req.raw));

app.onError((error, c) => {
  const [status, problem] = describe(error);
  const { hostname, pathname } = new URL(c.req.url);
  log('worker.request.failed', { method: c.req.method, path: pathname, status, error });
  return c.json(isLoopback(hostname) ? problem : { ...problem, message: OUTSIDE_MESSAGE }, status);
});

/** Told to strangers: the log alone says which variable, table or service it is. */
const OUTSIDE_MESSAGE = 'Cyrus cannot answer this now. The log of the Worker says why.';

/** What went wrong, for the person who runs this deployment. Nothing of an unknown error is shown. */
function describe(error: Error): [500 | 503, ApiError] {
  if (isNamed(error, 'ConfigError')) return [503, { error: 'not_configured', message: error.message }];
  if (isNamed(error, 'NotMigratedError')) return [503, { error: 'not_migrated', message: error.message }];
  if (isDatabaseError(error)) return [503, { error: 'database', message: 'The database does not answer.' }];
  if (isObjectAway(error))
    return [503, { error: 'object_away', message: 'Cyrus is busy or was just moved: try again.' }];
  return [500, { error: 'internal', message: 'Something went wrong; the log has the details.' }];
}

/** The object behind a container gives its rules along; nothing in the container can change them. */
const byRules: OutboundHandler<Env, ContainerRules> = (request, env, { params }) => outbound(request, env, params);

// Assigned after the class: as a static field the setter that registers the handlers would never run. It goes by the
// class's name, so each size has its own.
for (const container of [SandboxContainer, SmallSandboxContainer, LargeSandboxContainer]) {
  container.outboundByHost = { [GATEWAY_HOST]: gatewayForContainers };
  container.outbound = refuseOutbound;
  container.outboundHandlers = { [OUTBOUND_HANDLER]: byRules };
}

export {
  ClaudeAccount,
  ContainerProxy,
  IssueSession,
  LargeSandboxContainer,
  LinearWorkspace,
  Operations,
  RateLimiter,
  SandboxContainer,
  SmallSandboxContainer,
  WorkspaceQueue,
};

onLog((event, record) => {
  tellOfLog(bindings, waitUntil, event, record);
  reportError(bindings, waitUntil, event, record);
});

/** The cron trigger of wrangler.toml, every five minutes. */
async function scheduled({ scheduledTime }: ScheduledController, env: Env): Promise<void> {
  await watch(env);
  await clean(env, scheduledTime);
  await takeMissedWebhooks(env);
}

export default Object.assign(app, { scheduled });
