/** `/api/v1`: what programs do for people, by personal tokens. The document that describes it needs none. */
import { Hono } from 'hono';
import type { ApiError } from '../../protocol/api.ts';
import { openApiDocument } from '../../protocol/v1/document.ts';
import { OPERATIONS } from '../../protocol/v1/operations.ts';
import type { CallerView } from '../../protocol/v1/schemas.ts';
import { bodyLimit } from '../middleware/body-limit.ts';
import { needs, type PeopleEnv, servesOthers } from '../middleware/needs.ts';
import { tokenAccess } from '../middleware/token-access.ts';
import { eventStreamRoute } from './event-stream.ts';
import { liveRoute } from './live.ts';
import { problems } from './problems.ts';
import { serve } from './serve.ts';
import { sessionRoutes } from './sessions.ts';
import { settingsRoutes } from './settings.ts';
import { startRoute } from './start.ts';
import { steeringRoutes } from './steering.ts';
import { usageRoutes } from './usage.ts';
import { webhookRoutes } from './webhooks.ts';

const MAX_BODY_BYTES = 512 * 1024;

export const api = new Hono<PeopleEnv>();

api.get('/openapi.json', servesOthers('everyone'), (c) => c.json(openApiDocument(new URL(c.req.url).origin)));

api.use(problems, tokenAccess);
api.use(
  bodyLimit({
    maxSize: MAX_BODY_BYTES,
    onError: (c) =>
      c.json({ error: 'too_large', message: `A body has at most ${MAX_BODY_BYTES} bytes.` } satisfies ApiError, 413),
  }),
);

serve(api, OPERATIONS.getCaller, needs('self.see'), (c) => {
  const { name, email, isOwner, memberships, token } = c.var.person;
  const workspaces = memberships.map(({ workspaceId, workspaceName, role }) => {
    return { id: workspaceId, name: workspaceName, role };
  });
  // The guard of these routes lets nobody in without one.
  const { id = '', scope = 'read' } = token ?? {};
  return c.json({ name, email, isOwner, workspaces, token: { id, scope } } satisfies CallerView);
});
sessionRoutes(api);
liveRoute(api);
eventStreamRoute(api);
startRoute(api);
steeringRoutes(api);
settingsRoutes(api);
usageRoutes(api);
webhookRoutes(api);
api.all('*', needs('self.see'), (c) => {
  const message = 'There is no such address; /api/v1/openapi.json lists those that there are.';
  return c.json({ error: 'not_found', message } satisfies ApiError, 404);
});
