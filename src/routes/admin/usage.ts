/**
 * `/api/admin/usage` and `/api/admin/claude`, below index.ts, which asks for ADMIN_TOKEN: what was used, what is left of Claude's limits, and
 * whether Claude's API takes the tokens. Tokens appear by their names alone.
 */
import { Hono } from 'hono';
import * as z from 'zod';
import type { Config } from '../../config/config.ts';
import { claudeAccount } from '../../gateway/claude/account.ts';
import type { ApiError } from '../../protocol/api.ts';
import { readTokenRecords, reportUsage, type TokenProblem, USAGE_GROUPS } from '../../store/usage.ts';
import { findWorkspace } from '../../store/workspaces/workspaces.ts';
import { type AdminEnv, noSuchWorkspace } from './request.ts';

const USUAL_DAYS = 30;
const DAY_MS = 24 * 3_600_000;

const usageQuerySchema = z.object({
  by: z.enum(USAGE_GROUPS).default('day'),
  since: z.iso.date().optional(),
});

export const usage = new Hono<AdminEnv>();

/** As the database has it, a few seconds old. `?by=day|workspace|repository|session|model|token&since=2026-11-01`; the last 30 days if nothing is said. */
usage.get('/usage', async (c) => {
  const query = usageQuerySchema.safeParse(c.req.query());
  if (!query.success) {
    return c.json({ error: 'bad_request', message: z.prettifyError(query.error) } satisfies ApiError, 400);
  }
  const { by, since = new Date(Date.now() - USUAL_DAYS * DAY_MS).toISOString().slice(0, 10) } = query.data;
  const [sums, records] = await Promise.all([reportUsage(c.var.database, by, since), readTokenRecords(c.var.database)]);
  const { claude, limits } = c.var.config;
  const tokens = records.map(({ token, windows, problem }) => ({ token, windows, problem: shown(problem) }));
  return c.json({ by, since, usage: sums, mode: claude.access.mode, plan: limits.plan, tokens });
});

/** As of now: plan, thresholds, and each token with its limits and whether it is taken. */
usage.get('/claude', async (c) => c.json(await account(c.env, c.var.config)));

/** Asks Claude's API at once whether it takes the tokens that it refused. Nothing is used by that. */
usage.post('/claude/probe', async (c) => {
  await claudeAccount(c.env).probe(0);
  return c.json(await account(c.env, c.var.config));
});

/** Who of a workspace is at work, and who waits in the queue. */
usage.get('/workspaces/:id/queue', async (c) => {
  const id = c.req.param('id');
  if (!(await findWorkspace(c.var.database, id))) return c.json(noSuchWorkspace(id), 404);
  return c.json(await c.env.WORKSPACE_QUEUE.getByName(id).line());
});

/** Its old name, for programs that ask there; ends with the next version. */
usage.get('/workspaces/:id/line', (c) => c.redirect(c.req.url.replace(/\/line(?=$|\?)/, '/queue'), 308));

async function account(env: Env, { claude, limits }: Config) {
  const tokens = await claudeAccount(env).tokens();
  return {
    mode: claude.access.mode,
    plan: limits.plan,
    fallBackAt: limits.fallBackAt,
    budgets: limits.budgets,
    tokens: tokens.map(({ problem, ...token }) => ({ ...token, problem: shown(problem) })),
  };
}

/** The fingerprint is of use to Cyrus alone. */
function shown(problem: TokenProblem | null): Omit<TokenProblem, 'fingerprint'> | null {
  return problem && { message: problem.message, since: problem.since, triedAt: problem.triedAt };
}
