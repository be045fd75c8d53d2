/** `GET /health` and `GET /ready`. Open to everybody. */
import { Hono } from 'hono';
import { readiness } from '../../operations/readiness.ts';
import { settledConfig } from '../../store/settings.ts';
import { servesOthers } from '../middleware/needs.ts';

export const health = new Hono<{ Bindings: Env }>();

/** Whether Cyrus can work at all: 503 with words where its configuration or database is not as this version needs it. */
health.get('/health', servesOthers('everyone'), async (c) => {
  const config = await settledConfig(c.env, null);
  const problem = (await readiness(c.env)).find(({ name, ok }) => name === 'database' && !ok);
  const state = { paused: config.paused, scriptedModel: config.claude.scripted };
  if (problem) return c.json({ ok: false, ...state, error: 'database', message: problem.words }, 503);
  return c.json({ ok: true, ...state });
});

/** Each thing that Cyrus cannot do without, by name: 503 if one is missing. */
health.get('/ready', servesOthers('everyone'), async (c) => {
  const checks = await readiness(c.env);
  const isReady = checks.every(({ ok }) => ok);
  return c.json({ ok: isReady, checks }, isReady ? 200 : 503);
});
