/** `GET /metrics` in Prometheus's text and `GET /api/v1/metrics` as JSON, for those who hold METRICS_TOKEN or ADMIN_TOKEN. */
import { type Context, Hono } from 'hono';
import { timingSafeEqual } from 'hono/utils/buffer';
import type { Config } from '../../config/config.ts';
import { readConfig } from '../../config/read-config.ts';
import { log } from '../../observability/log.ts';
import { collect } from '../../operations/metrics/collect.ts';
import { type Family, PROMETHEUS_TYPE, prometheusText } from '../../operations/metrics/families.ts';
import { openDatabase } from '../../store/database.ts';
import { servesOthers } from '../middleware/needs.ts';

type MetricsContext = Context<{ Bindings: Env }>;

/** Several scrapers, or one that is set too fast, cost D1 no more than this. */
const KEPT_MS = 15_000;
let kept: { at: number; env: Env; families: Family[] } | null = null;

export const metrics = new Hono<{ Bindings: Env }>();

metrics.get('/metrics', servesOthers('ADMIN_TOKEN'), async (c) => {
  const families = await familiesFor(c);
  if (families instanceof Response) return families;
  return c.text(prometheusText(families), 200, { 'content-type': PROMETHEUS_TYPE });
});

metrics.get('/api/v1/metrics', servesOthers('ADMIN_TOKEN'), async (c) => {
  const families = await familiesFor(c);
  return families instanceof Response ? families : c.json({ metrics: families });
});

async function familiesFor(c: MetricsContext): Promise<Family[] | Response> {
  const config = readConfig(c.env);
  if (!(await isAllowed(c, config))) {
    log('metrics.token.refused', { path: c.req.path });
    const message = 'Send `Authorization: Bearer` with the METRICS_TOKEN (or the ADMIN_TOKEN) of this deployment.';
    return c.json({ error: 'unauthorized', message }, 401, { 'www-authenticate': 'Bearer realm="Cyrus metrics"' });
  }
  const now = Date.now();
  if (kept?.env === c.env && Math.abs(now - kept.at) < KEPT_MS) return kept.families;
  const database = openDatabase(c.env.DB, config.encryptionKey, config.oldEncryptionKey);
  const families = await collect(c.env, database);
  kept = { at: now, env: c.env, families };
  return families;
}

async function isAllowed(c: MetricsContext, { metricsToken, adminToken }: Config): Promise<boolean> {
  const token = /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1] ?? '';
  const isAdmin = await timingSafeEqual(token, adminToken);
  return metricsToken === null ? isAdmin : (await timingSafeEqual(token, metricsToken)) || isAdmin;
}
