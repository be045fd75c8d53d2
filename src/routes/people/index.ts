/** `/api/me`: who is signed in, in which browsers, signing out, and the tokens by which programs act for the person. */
import { Hono } from 'hono';
import * as z from 'zod';
import { readConfig } from '../../config/read-config.ts';
import { log } from '../../observability/log.ts';
import { MOST_TOKENS, makeToken, revokeToken, tokensOf } from '../../people/api-tokens.ts';
import type { People } from '../../people/present-person.ts';
import type { ApiError } from '../../protocol/api.ts';
import {
  type Me,
  type NewToken,
  type SignIns,
  signOutSchema,
  type Token,
  type Tokens,
  tokenInputSchema,
} from '../../protocol/people.ts';
import { audit } from '../../store/audit.ts';
import { openDatabase } from '../../store/database.ts';
import type { ListedApiToken } from '../../store/people/api-tokens.ts';
import { endSignIns, listSignIns } from '../../store/people/sign-ins.ts';
import { needs, type PeopleContext, type PeopleEnv } from '../middleware/needs.ts';
import { dropToken } from '../middleware/sign-in-cookie.ts';

export const me = new Hono<PeopleEnv>();

me.get('/', needs('self.see'), (c) => {
  const { kind, name, email, isOwner, memberships, signInId } = c.var.person;
  const workspaces = memberships.map(({ workspaceId, workspaceName, userId, role }) => {
    return { id: workspaceId, name: workspaceName, userId, role };
  });
  return c.json({ kind, name, email, isOwner, workspaces, signIn: signInId } satisfies Me);
});

me.get('/sign-ins', needs('self.see'), async (c) => {
  const { key, signInId } = c.var.person;
  const rows = signInId === null ? [] : await listSignIns(databaseOf(c), key, Date.now());
  return c.json({ signIns: rows.map((row) => ({ ...row, isThis: row.id === signInId })) } satisfies SignIns);
});

me.delete('/sign-ins/:id', needs('self.sign-out'), async (c) => {
  const id = c.req.param('id');
  if ((await end(c, { id })) === 0) {
    return c.json({ error: 'no_such_sign_in', message: 'You have no sign-in with this id.' } satisfies ApiError, 404);
  }
  if (id === c.var.person.signInId) dropToken(c);
  return c.body(null, 204);
});

me.post('/sign-out', needs('self.sign-out'), async (c) => {
  const body = signOutSchema.safeParse(await c.req.json().catch(() => ({})));
  if (!body.success) {
    return c.json({ error: 'bad_request', message: z.prettifyError(body.error) } satisfies ApiError, 400);
  }
  const { signInId } = c.var.person;
  const ended = signInId === null ? 0 : await end(c, body.data.everywhere ? 'all' : { id: signInId });
  dropToken(c);
  return c.json({ ended });
});

me.get('/tokens', needs('self.tokens'), async (c) => {
  const tokens = await tokensOf(peopleOf(c), c.var.person, Date.now());
  return c.json({ tokens: tokens.map(shownToken) } satisfies Tokens);
});

/** The one time that the token itself is shown. */
me.post('/tokens', needs('self.tokens'), async (c) => {
  const body = tokenInputSchema.safeParse(await c.req.json().catch(() => null));
  if (!body.success) {
    return c.json({ error: 'bad_request', message: z.prettifyError(body.error) } satisfies ApiError, 400);
  }
  const made = await makeToken(peopleOf(c), c.var.person, body.data, Date.now());
  if (made === 'too-many') {
    const message = `You have ${MOST_TOKENS} tokens, and may have no more: revoke those that nothing uses.`;
    return c.json({ error: 'too_many_tokens', message } satisfies ApiError, 409);
  }
  const { id, scope } = made.listed;
  await noteToken(c, 'token.created', { token: id, scope, days: body.data.days });
  return c.json({ ...shownToken(made.listed), token: made.token } satisfies NewToken, 201);
});

me.delete('/tokens/:id', needs('self.tokens'), async (c) => {
  const id = c.req.param('id');
  if ((await revokeToken(peopleOf(c), c.var.person, id)) === null) {
    return c.json({ error: 'no_such_token', message: 'You have no token with this id.' } satisfies ApiError, 404);
  }
  await noteToken(c, 'token.revoked', { token: id });
  return c.body(null, 204);
});

function shownToken({ label, ...token }: ListedApiToken): Token {
  return { ...token, name: label };
}

async function noteToken(
  c: PeopleContext,
  action: 'token.created' | 'token.revoked',
  facts: { token: string; scope?: string; days?: number },
): Promise<void> {
  const { key, name, memberships } = c.var.person;
  const workspaceId = memberships[0]?.workspaceId ?? null;
  const details = { name, ...facts };
  await audit(databaseOf(c), { at: Date.now(), actor: key, action, workspaceId, details });
  log(`people.${action}`, { person: key, id: facts.token });
}

/** @returns how many ended */
async function end(c: PeopleContext, which: { id: string } | 'all'): Promise<number> {
  const { key, name, memberships } = c.var.person;
  const database = databaseOf(c);
  const ended = await endSignIns(database, key, which);
  const details = { name, ended, everywhere: which === 'all' };
  const workspaceId = memberships[0]?.workspaceId ?? null;
  if (ended > 0)
    await audit(database, { at: Date.now(), actor: key, action: 'person.signed-out', workspaceId, details });
  log('people.sign_in.ended', { person: key, ended, reason: 'signed out' });
  return ended;
}

function peopleOf(c: PeopleContext): People {
  return { env: c.env, config: readConfig(c.env), database: databaseOf(c) };
}

function databaseOf(c: PeopleContext) {
  const { encryptionKey, oldEncryptionKey } = readConfig(c.env);
  return openDatabase(c.env.DB, encryptionKey, oldEncryptionKey);
}
