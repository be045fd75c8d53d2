/** The gateway's routes with a stand-in for whatever they forward to, a session token for each call, and what was sent. */
import { env } from 'cloudflare:workers';
import { Hono } from 'hono';
import { beforeEach } from 'vitest';
import type { Standing } from '../../../src/gateway/openings.ts';
import { type Claims, mintToken } from '../../../src/gateway/token.ts';
import { gatewayApp } from '../../../src/routes/gateway/index.ts';
import { AT_WORK } from './standing.ts';

const config = { encryptionKey: env.ENCRYPTION_KEY };

/** Of the session that calls, unless a test says otherwise. */
export const claims: Claims = {
  s: env.ISSUE_SESSION.idFromName('gateway-test').toString(),
  w: 'gateway-workspace',
  r: 'acme/shop',
  b: 'cyrus/eng-1',
  g: 2,
};

export interface GatewayStage {
  app: Hono<{ Bindings: Env }>;
  /** Answers what the gateway forwards. */
  upstream: (request: Request) => Response | Promise<Response>;
  /** What it has forwarded in this test. */
  sent: Request[];
  /** The state of the session that calls. */
  standing: Standing;
  /** Calls a route of the gateway, with a token of the session unless the headers have one. */
  ask: (
    path: string,
    init?: RequestInit<RequestInitCfProperties>,
    bindings?: Env,
    by?: Partial<Claims>,
  ) => Promise<Response>;
}

/** Sets the stage for a file; each test begins with an empty one. */
export function gatewayStage(): GatewayStage {
  const fresh = () => ({
    upstream: () => new Response('{}', { headers: { 'content-type': 'application/json' } }),
    sent: [],
    standing: AT_WORK,
  });
  const app = new Hono<{ Bindings: Env }>().route(
    '/gateway',
    gatewayApp({
      base: '/gateway',
      fetcher: async (request) => {
        stage.sent.push(request);
        return stage.upstream(request);
      },
      standing: async () => stage.standing,
    }),
  );
  const stage: GatewayStage = {
    app,
    ...fresh(),
    ask: async (path, init = {}, bindings = env, by = {}) => {
      const headers = new Headers(init.headers);
      if (!headers.has('authorization') && !headers.has('x-api-key')) {
        headers.set('authorization', `Bearer ${await mintToken(config, { ...claims, ...by })}`);
      }
      return app.request(`http://cyrus.test/gateway${path}`, { ...init, headers }, bindings);
    },
  };
  beforeEach(() => {
    Object.assign(stage, fresh());
  });
  return stage;
}
