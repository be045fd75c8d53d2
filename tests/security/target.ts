/** What is attacked: the whole of Cyrus as in production, with its password, beside stand-ins for the services around it. */
import { createHmac, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { SAMPLE_REPOSITORY } from '../../dev/git/sample-repository.ts';
import type { Stack } from '../../dev/stack.ts';
import { type Claims, mintToken } from '../../src/gateway/token.ts';
import { CyrusSession } from '../e2e/cyrus-session.ts';
import { LinearThread } from '../e2e/linear-thread.ts';
import { until } from '../e2e/run.ts';
import { setStack } from '../e2e/stage.ts';

/** A workspace of nobody's: what is sent in its name changes nothing that the product's own session needs. */
export const STRANGERS_WORKSPACE = 'aaaaaaaa-1111-4222-8333-bbbbbbbbbbbb';

export class Target {
  readonly stack: Stack;
  readonly port: number;

  private constructor(stack: Stack) {
    this.stack = stack;
    this.port = Number(new URL(stack.url).port);
  }

  /** @param folder see `setStack` */
  static async start(folder: string): Promise<Target> {
    const stack = await setStack({
      folder,
      // All attacks come from one address: they are to reach what is behind this limit. tests/worker/request-limits.test.ts is about the limit.
      publicLimit: 1_000_000,
      variables: {
        ENVIRONMENT: 'production',
        MAX_SESSIONS_AT_ONCE: '3',
        API_REQUESTS_A_MINUTE: '0',
        OAUTH_REQUESTS_A_MINUTE: '0',
      },
    });
    const target = new Target(stack);
    await target.register(STRANGERS_WORKSPACE);
    return target;
  }

  #cookie: string | null = null;

  /** What a browser sends that knows the password. */
  get password(): { authorization: string } {
    return { authorization: `Basic ${btoa(`anybody:${this.stack.secrets.accessPassword}`)}` };
  }

  get adminHeaders(): { authorization: string } {
    return { authorization: `Bearer ${this.stack.secrets.adminToken}` };
  }

  /** Asks Cyrus, following no redirect. @param path with its slash */
  ask(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.stack.url}${path}`, { redirect: 'manual', ...init });
  }

  /** Asks the gateway with a session token. @param path below `/gateway`, with its slash */
  gateway(token: string, path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { authorization: `Bearer ${token}`, ...(init.headers as Record<string, string> | undefined) };
    return this.ask(`/gateway${path}`, { ...init, headers });
  }

  /** Delivers a webhook. @param changes of its headers; null: left out */
  webhook(body: string | Uint8Array<ArrayBuffer>, changes: Record<string, string | null> = {}): Promise<Response> {
    const headers: Record<string, string> = {
      'content-type': 'application/json; charset=utf-8',
      'linear-delivery': randomUUID(),
      'linear-signature': this.signature(body),
    };
    for (const [name, value] of Object.entries(changes)) {
      if (value === null) delete headers[name];
      else headers[name] = value;
    }
    return this.ask('/webhooks/linear', { method: 'POST', headers, body });
  }

  /** Linear's signature over a body. */
  signature(body: string | Uint8Array, secret: string = this.stack.secrets.webhookSecret): string {
    return createHmac('sha256', secret).update(body).digest('hex');
  }

  /** A session token for these claims, as Cyrus makes them. */
  token(claims: Claims, ttl?: number): Promise<string> {
    return mintToken({ encryptionKey: this.stack.secrets.encryptionKey }, claims, ttl);
  }

  /** Waits until Claude runs a tool. */
  async untilAtWork(session: CyrusSession): Promise<void> {
    const look = async () => (await session.entries('tool-call')).length > 0;
    await until('a tool call', look, { limitMs: 120_000, everyMs: 200 });
  }

  /** Gives Cyrus an issue. */
  assign(title: string, description: string): LinearThread {
    return LinearThread.assign(this.stack.linear, title, description);
  }

  /** The session of a thread, as somebody with the password reads it. */
  async session(thread: LinearThread): Promise<CyrusSession> {
    const { pageUrl } = await thread.livePage();
    this.#cookie ??= await this.#signIn();
    return new CyrusSession(pageUrl, { cookie: this.#cookie });
  }

  /** What a browser sends that has signed in with the password. */
  async browserHeaders(): Promise<{ cookie: string; origin: string }> {
    this.#cookie ??= await this.#signIn();
    return { cookie: this.#cookie, origin: this.stack.url };
  }

  /** What a program sends that has a personal token. */
  async programHeaders(): Promise<{ authorization: string }> {
    const headers = { ...(await this.browserHeaders()), 'content-type': 'application/json' };
    const body = JSON.stringify({ name: 'Random requests', scope: 'admin', days: 1 });
    const response = await this.ask('/api/me/tokens', { method: 'POST', headers, body });
    const text = await response.text();
    if (response.status !== 201) throw new Error(`no personal token was made: ${response.status} ${text}`);
    const { token } = z.object({ token: z.string() }).parse(JSON.parse(text));
    return { authorization: `Bearer ${token}` };
  }

  /** As a browser that has signed in before: guesses at this address have every later password refused. */
  async #signIn(): Promise<string> {
    const response = await this.ask('/api/sessions', { headers: this.password });
    await response.body?.cancel();
    const [cookie = ''] = (response.headers.get('set-cookie') ?? '').split(';');
    if (!response.ok || cookie === '') throw new Error(`the password is answered ${response.status}, without a cookie`);
    return cookie;
  }

  /** What a token of this session's first life says. */
  claimsOf(session: CyrusSession, thread: LinearThread): Claims {
    const w = this.stack.linear.workspace.id;
    return { s: session.id, w, r: SAMPLE_REPOSITORY, b: `cyrus/${thread.issue.toLowerCase()}`, g: 1, p: 'network' };
  }

  /** The Worker's log so far. */
  log(): string {
    return readFileSync(join(this.stack.folder, 'logs', 'worker.log'), 'utf8');
  }

  /** Waits until the Worker's log has something. @param since its length before */
  logged(what: string, words: string, since = 0): Promise<boolean> {
    return until(`${what} in the log`, () => this.log().slice(since).includes(words), { limitMs: 60_000 });
  }

  /** Stores a workspace and the sample repository for it, as an admin does. */
  async register(workspaceId: string, accessToken = 'lin_oauth_of_nobody_at_all'): Promise<void> {
    const put = async (path: string, body: object) => {
      const response = await this.ask(`/api/admin/workspaces/${workspaceId}${path}`, {
        method: 'PUT',
        headers: { ...this.adminHeaders, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      if (!response.ok) throw new Error(`an admin could not store ${path}: ${await response.text()}`);
    };
    const { name, urlKey } = this.stack.linear.workspace;
    const appUserId = this.stack.linear.appUserId;
    await put('', { name, urlKey, appUserId, accessToken });
    await put(`/repositories/${SAMPLE_REPOSITORY}`, {
      cloneUrl: this.stack.git.cloneUrl(SAMPLE_REPOSITORY),
      baseBranch: 'main',
      credential: { kind: 'github-app' },
    });
  }

  /** A session from an issue to its pull request, which shows that the product works. @throws where it does not */
  async works(title: string): Promise<{ thread: LinearThread; session: CyrusSession }> {
    const before = this.stack.github.pulls().length;
    const thread = this.assign(title, 'The cart total ignores quantities.');
    const session = await this.session(thread);
    const ended = await session.turnEnded(1, 240_000);
    if (ended.outcome !== 'completed') throw new Error(`the turn ended as ${ended.outcome}`);
    await until('the pull request', () => this.stack.github.pulls().length > before, { limitMs: 120_000 });
    return { thread, session };
  }

  close(): Promise<void> {
    return this.stack.close();
  }
}
