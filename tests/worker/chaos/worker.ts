/**
 * Cyrus as `npm run chaos:linear` runs it: the Worker of src/index.ts on a clock that runs fast, with objects that break
 * down in the middle of their work. Nothing of what it does is replaced.
 */
import { env } from 'cloudflare:workers';
import { z } from 'zod';
import app, { IssueSession as CyrusIssueSession, LinearWorkspace as CyrusLinearWorkspace } from '../../../src/index.ts';
import { Outbox } from '../../../src/kernel/outbox.ts';
import type { Call, CallResult } from '../../../src/linear/api/call.ts';
import type { EventBatch } from '../../../src/protocol/sandbox/batches.ts';
import type { Accepted, Delivery, Ingested } from '../../../src/session/inbound/delivery.ts';
import { isAwaited } from '../../../src/session/lifecycle/model/effects.ts';
import { StateStore } from '../../../src/session/storage/state-store.ts';
import { turnAlarms, turnClock } from './clock.ts';
import { CrashPoints } from './crash-points.ts';
import { bucketOver, ChaosStore, databaseOver, type Store } from './stores.ts';

const settings = z
  .looseObject({
    CHAOS_SEED: z.coerce.number(),
    CHAOS_SPEED: z.coerce.number(),
    CHAOS_REAL_ORIGIN: z.coerce.number(),
    CHAOS_ORIGIN: z.coerce.number(),
    CHAOS_CRASHES: z.coerce.number(),
    LINEAR_API_URL: z.string(),
  })
  .parse(env);

const { toReal } = turnClock({
  speed: settings.CHAOS_SPEED,
  realOrigin: settings.CHAOS_REAL_ORIGIN,
  origin: settings.CHAOS_ORIGIN,
});

/** What a person waits for is noted when it is known, so that it can be told how late it was in Linear. */
const add = Outbox.prototype.add;
Outbox.prototype.add = function (effects, now) {
  for (const effect of effects) {
    if (effect.kind === 'say' && isAwaited(effect))
      console.log(JSON.stringify({ event: 'chaos.awaited', id: effect.id, at: now }));
  }
  add.call(this, effects, now);
};

/** The objects of this isolate that call out, by what their requests bear: a session's id, a workspace's id. */
const callers = new Map<string, CrashPoints>();

const realFetch = globalThis.fetch;
globalThis.fetch = (input, init) => {
  const { href, pathname } = new URL(input instanceof Request ? input.url : input);
  if (href === settings.LINEAR_API_URL) {
    // Every history has a simulator of its own; the token says which.
    const token = new Headers(init?.headers).get('authorization') ?? '';
    const [, port, workspaceId = ''] = /^Bearer chaos\.(\d+)\.(\S+)$/.exec(token) ?? [];
    const ask = () => realFetch(`http://127.0.0.1:${port}/graphql`, init);
    return callers.get(workspaceId)?.around('a request to Linear', ask) ?? ask();
  }
  const ask = () => realFetch(input, init);
  return callers.get(pathname.split('/')[2] ?? '')?.around('a request to the sandbox', ask) ?? ask();
};

type Namespaces = Env & { CHAOS_STORE: DurableObjectNamespace<ChaosStore> };

/** The bindings, with stores in the place of D1 and R2. */
function withStores(bindings: Env, points: CrashPoints | null): Env {
  const store = (bindings as Namespaces).CHAOS_STORE.getByName('store');
  const around: CrashPoints['around'] = (where, ask) => points?.around(where, ask) ?? ask();
  const careful = {
    query: (statements: Parameters<Store['query']>[0]) => around('a query', async () => store.query(statements)),
    put: (key: string, bytes: ArrayBuffer) => around('a put', async () => store.put(key, bytes)),
  } as Store;
  return { ...bindings, DB: databaseOver(careful), LOGS: bucketOver(careful) };
}

/** The namespace, with crash points around whatever a session asks its workspace. */
function watched(namespace: Env['LINEAR_WORKSPACE'], points: CrashPoints): Env['LINEAR_WORKSPACE'] {
  const stub = (name: string) =>
    new Proxy({} as Record<string, unknown>, {
      get: (_, method) => (asked: unknown) => {
        const real = namespace.getByName(name) as unknown as Record<string | symbol, (asked: unknown) => unknown>;
        return points.around('a call to the workspace', async () => real[method]?.(asked));
      },
    });
  // A session uses nothing else of it.
  return { getByName: stub } as unknown as Env['LINEAR_WORKSPACE'];
}

function pointsOf(ctx: DurableObjectState, what: string): CrashPoints {
  turnAlarms(ctx.storage, toReal);
  return new CrashPoints(ctx, what, settings.CHAOS_SEED, settings.CHAOS_CRASHES);
}

export class IssueSession extends CyrusIssueSession {
  readonly #points: CrashPoints;

  constructor(ctx: DurableObjectState, bindings: Env) {
    const points = pointsOf(ctx, 'session');
    super(ctx, {
      ...withStores(bindings, points),
      LINEAR_WORKSPACE: watched(bindings.LINEAR_WORKSPACE, points),
    });
    this.#points = points;
    callers.set(ctx.id.toString(), points);
  }

  override accept(delivery: Delivery): Accepted {
    this.#points.at('before a delivery is taken in');
    const accepted = super.accept(delivery);
    this.#points.at('before a delivery is on the disk');
    this.#points.afterCommit('after a delivery is on the disk');
    return accepted;
  }

  override ingest(batch: EventBatch): Ingested {
    this.#points.at('before a batch is taken in');
    const ingested = super.ingest(batch);
    this.#points.at('before a batch is on the disk');
    this.#points.afterCommit('after a batch is on the disk');
    return ingested;
  }

  override async alarm(): Promise<void> {
    this.#points.at('before an alarm');
    await super.alarm();
    this.#points.at('after an alarm');
  }

  /** What an outsider cannot see: effects that wait, and what the session is doing. */
  inspect(): { state: string; outbox: string[] } | null {
    const { sql } = this.ctx.storage;
    const tables = sql.exec("SELECT name FROM sqlite_master WHERE name = 'state'").toArray();
    if (tables.length === 0) return null;
    // The snapshot alone is older than the state: a store of its own reads what was changed since as well.
    const loaded = new StateStore(sql).load();
    const outbox = sql
      .exec<{ effect: string; attempts: number; wait: number; last_error: string | null }>(
        'SELECT effect, attempts, next_at - ? AS wait, last_error FROM outbox ORDER BY id',
        Date.now(),
      )
      .toArray()
      .map(
        ({ effect, attempts, wait, last_error }) =>
          `${effect.slice(0, 150)} (${attempts} tries, due in ${wait} ms, ${last_error ?? 'no error'})`,
      );
    if (loaded === null) return null;
    if (!loaded.state.ok) throw new Error(`the session cannot go on from its state: ${loaded.state.why}`);
    return { state: JSON.stringify(loaded.state.value), outbox };
  }
}

export class LinearWorkspace extends CyrusLinearWorkspace {
  readonly #points: CrashPoints;

  constructor(ctx: DurableObjectState, bindings: Env) {
    const points = pointsOf(ctx, 'workspace');
    super(ctx, withStores(bindings, points));
    this.#points = points;
    callers.set(ctx.id.name ?? '', points);
  }

  override async call(call: Call): Promise<CallResult> {
    return this.#points.around('a call is carried out', () => super.call(call));
  }
}

// The other classes as they are; those above take the place of theirs.
export * from '../../../src/index.ts';
export { ChaosStore };

export default {
  async fetch(request: Request, bindings: Env, ctx: ExecutionContext): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === '/chaos/migrations') {
      await (bindings as Namespaces).CHAOS_STORE.getByName('store').execute(await request.text());
      return new Response(null, { status: 204 });
    }
    const [, sessionId] = /^\/chaos\/sessions\/([0-9a-f]{64})$/.exec(pathname) ?? [];
    if (sessionId) {
      const namespace = bindings.ISSUE_SESSION as unknown as DurableObjectNamespace<IssueSession>;
      return Response.json(await namespace.get(namespace.idFromString(sessionId)).inspect());
    }
    return app.fetch(request, withStores(bindings, null), ctx);
  },
} satisfies ExportedHandler<Env>;
