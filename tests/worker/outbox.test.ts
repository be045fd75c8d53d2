import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { INTERRUPTION_LIMIT } from '../../src/kernel/attempt.ts';
import type { Pending } from '../../src/kernel/effect-rules.ts';
import { Outbox } from '../../src/kernel/outbox.ts';
import type { Effect } from '../../src/session/lifecycle/model/effects.ts';
import { sessionEffects } from '../../src/session/storage/effect-rules.ts';
import { MOST_TOGETHER } from '../../src/session/storage/gathering.ts';
import { createTables } from '../../src/session/storage/tables.ts';
import { created, newThread, prompted, send, type Thread } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { journal, page, Reporter, registerWorkspace, session } from './support/sessions.ts';

const NOW = 1_800_000_000_000;

function say(id: string, type: 'action' | 'response', dueAt?: number): Effect {
  const content = type === 'action' ? { type, action: 'Ran', parameter: id } : { type, body: id };
  const activity = { content, ephemeral: false };
  return { kind: 'say', agentSessionId: 't', id, activity, ...(dueAt !== undefined && { dueAt }) };
}

/** An outbox of its own, with a way to begin its next life. */
async function withOutbox(
  test: (outbox: Outbox<Effect>, next: (now: number) => Outbox<Effect>) => void,
): Promise<void> {
  const stub = env.ISSUE_SESSION.getByName(crypto.randomUUID());
  await runInDurableObject(stub, (_, { storage }) => {
    createTables(storage);
    const next = (now: number) => {
      const outbox = new Outbox(storage.sql, sessionEffects);
      outbox.load(now);
      return outbox;
    };
    test(next(NOW), next);
  });
}

const ids = (pending: Pending<Effect>[] | undefined) =>
  pending?.map(({ effect }) => (effect.kind === 'say' ? effect.id : effect.kind));
const failed = { error: 'away', cause: 'passing', notBefore: null } as const;

describe('the outbox', () => {
  it('sends an answer at once, however much is gathered before it', () =>
    withOutbox((outbox) => {
      const later = NOW + 160_000;
      outbox.add(
        Array.from({ length: 300 }, (_, index) => say(`step-${index}`, 'action', later)),
        NOW,
      );
      expect(outbox.lease(NOW)).toEqual([]);
      outbox.add([say('answer', 'response')], NOW + 1_000);
      const [sent] = outbox.lease(NOW + 1_000);
      expect(sent).toHaveLength(MOST_TOGETHER);
      expect(ids(sent)?.at(-1)).toBe('answer');
      expect(sent?.[0]?.effect).toMatchObject({
        activity: { content: { type: 'thought', body: expect.stringContaining(`${300 - MOST_TOGETHER + 2} steps`) } },
      });
    }));

  it('makes one attempt at once for an answer that becomes known while its thread waits after a failure', () =>
    withOutbox((outbox) => {
      outbox.add([say('step', 'action')], NOW);
      const [first = []] = outbox.lease(NOW);
      for (let attempt = 0; attempt < 8; attempt += 1) outbox.retry(first, failed, NOW, 0);
      outbox.add([say('answer', 'response')], NOW + 1);
      const [sent = []] = outbox.lease(NOW + 1);
      expect(ids(sent)).toEqual(['step', 'answer']);
      outbox.retry(sent, failed, NOW + 1, 0);
      expect(outbox.lease(NOW + 2)).toEqual([]);
    }));

  it('carries out at once what a crash interrupted, and waits longer each time it does', () =>
    withOutbox((outbox, next) => {
      outbox.add([{ kind: 'start-sandbox', generation: 1 }], NOW);
      expect(outbox.lease(NOW)).toHaveLength(1);
      const second = next(NOW + 100);
      expect(second.nextAt(NOW + 100)).toBeLessThanOrEqual(NOW + 100);
      expect(second.lease(NOW + 100)[0]?.[0]?.attempts).toBe(2);
      const third = next(NOW + 200);
      expect(third.lease(NOW + 200)).toEqual([]);
      expect(third.lease(NOW + 2_000)).toHaveLength(1);
    }));

  it('has the object woken within seconds while something is under way', () =>
    withOutbox((outbox) => {
      outbox.add([{ kind: 'start-sandbox', generation: 1 }], NOW);
      outbox.lease(NOW);
      expect(outbox.nextAt(NOW)).toBe(NOW + 2_000);
      expect(outbox.nextAt(NOW + 30_000)).toBeLessThanOrEqual(NOW + 35_000);
    }));

  it('counts an attempt before it is made, and names what ended the object each time', () =>
    withOutbox((outbox, next) => {
      outbox.add([{ kind: 'archive-turn', turn: 1 }], NOW);
      let life = outbox;
      for (let attempt = 0; attempt < INTERRUPTION_LIMIT; attempt += 1) {
        const now = NOW + attempt * 600_000;
        expect(life.fatal()).toEqual([]);
        expect(life.lease(now)).toHaveLength(1);
        life = next(now + 1);
      }
      expect(life.fatal()).toMatchObject([{ attempts: INTERRUPTION_LIMIT, effect: { kind: 'archive-turn' } }]);
    }));

  it('forgets the interruptions of what only failed', () =>
    withOutbox((outbox, next) => {
      outbox.add([{ kind: 'archive-turn', turn: 1 }], NOW);
      let life = outbox;
      for (let attempt = 0; attempt < 2 * INTERRUPTION_LIMIT; attempt += 1) {
        const now = NOW + attempt * 3_600_000;
        const [leased = []] = life.lease(now);
        life.retry(leased, failed, now, 0);
        life = next(now + 1);
      }
      expect(life.fatal()).toEqual([]);
    }));

  it('waits as long as before when the clock is set', () =>
    withOutbox((outbox, next) => {
      outbox.add([say('step', 'action', NOW + 5_000)], NOW);
      outbox.clockMoved(-3_600_000);
      expect(outbox.nextAt(NOW - 3_600_000)).toBe(NOW - 3_600_000 + 5_000);
      expect(next(NOW - 8 * 3_600_000).nextAt(NOW - 8 * 3_600_000)).toBe(NOW - 8 * 3_600_000);
    }));

  it('looks once for a sandbox that stays silent', () =>
    withOutbox((outbox) => {
      const look: Effect = { kind: 'start-sandbox', generation: 1, look: true };
      for (let silence = 0; silence < 80; silence += 1) outbox.add([look], NOW);
      const [first = []] = outbox.lease(NOW);
      outbox.remove(first);
      expect(outbox.nextAt(NOW)).toBeNull();
    }));
});

describe('an effect that ends its object each time', () => {
  beforeEach(registerWorkspace);

  it('is given up, and the page says so', async () => {
    const outside = new Outside();
    outside.interfere = (url) => (url.includes('/sessions/') ? new Response(null, { status: 503 }) : null);
    const thread = newThread();
    await send(created(thread));
    await vi.waitFor(() =>
      runInDurableObject(session(thread), (_, { storage }) => {
        // As the last of several lives left it, which ended in the middle of an attempt.
        const { rowsWritten } = storage.sql.exec(
          "UPDATE outbox SET attempts = ?1, next_at = 0, last_error = 'under way, interruption ' || ?1 WHERE last_error LIKE '%refused%'",
          INTERRUPTION_LIMIT,
        );
        expect(rowsWritten).toBe(1);
      }),
    );
    await evictDurableObject(session(thread));
    await vi.waitFor(async () => {
      await runInDurableObject(session(thread), (instance) => instance.alarm());
      expect(await journal(thread)).toContainEqual(
        expect.objectContaining({
          kind: 'effect-failed',
          effect: 'Starting the sandbox',
          attempts: INTERRUPTION_LIMIT,
        }),
      );
    });
  });
});

describe('a clock that is set back by an hour in the middle of a turn', () => {
  beforeEach(registerWorkspace);

  it('neither keeps a stop from being final after ten seconds, nor an effect from being carried out', async () => {
    const outside = new Outside();
    const thread = newThread();
    await send(created(thread));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    await send(prompted(thread, '', { signal: 'stop' }));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(2));
    const back = Date.now() - 3_600_000;
    vi.useFakeTimers({ toFake: ['Date'], now: back });
    try {
      await runInDurableObject(session(thread), (instance) => instance.alarm());
      vi.setSystemTime(back + 11_000);
      await runInDurableObject(session(thread), (instance) => instance.alarm());
      await vi.waitFor(() => expect(outside.said.at(-1)?.content.type).toMatch(/response|error/));
      const [ended] = (await journal(thread)).filter((entry) => entry.kind === 'turn-ended');
      expect(ended).toMatchObject({ outcome: 'stopped' });
      expect(ended?.kind === 'turn-ended' && ended.durationMs).toBeGreaterThanOrEqual(0);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('a clock that is set forward by an hour in the middle of a turn', () => {
  beforeEach(registerWorkspace);
  afterEach(() => void vi.useRealTimers());

  async function working(outside: Outside) {
    const thread = newThread();
    await send(created(thread));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    const reporter = new Reporter(thread);
    await reporter.report({ type: 'line', line: JSON.stringify({ type: 'system', subtype: 'init', model: 'sonnet' }) });
    return thread;
  }

  const wake = (thread: Thread) => runInDurableObject(session(thread), (instance) => instance.alarm());

  it('leaves a stop its ten seconds, after which it is final', async () => {
    const outside = new Outside();
    const thread = await working(outside);
    await send(prompted(thread, '', { signal: 'stop' }));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(2));
    const ahead = Date.now() + 3_600_000;
    vi.useFakeTimers({ toFake: ['Date'], now: ahead });
    await wake(thread);
    await wake(thread);
    expect((await page(thread))?.session.phase).toBe('stopping');
    vi.setSystemTime(ahead + 10_500);
    await wake(thread);
    const [ended] = (await journal(thread)).filter((entry) => entry.kind === 'turn-ended');
    expect(ended).toMatchObject({ outcome: 'stopped' });
    // It lasted about as long as it did, not an hour.
    expect(ended?.kind === 'turn-ended' && ended.durationMs).toBeLessThan(600_000);
  });

  it('takes no sandbox for silent that has just posted, and tells nobody that the work takes an hour', async () => {
    const outside = new Outside();
    const thread = await working(outside);
    const said = outside.said.length;
    const ahead = Date.now() + 3_600_000;
    vi.useFakeTimers({ toFake: ['Date'], now: ahead });
    await wake(thread);
    expect(outside.starts).toHaveLength(1);
    vi.setSystemTime(ahead + 46_000);
    await wake(thread);
    await vi.waitFor(() => expect(outside.starts).toHaveLength(2));
    expect(outside.said.slice(said).map(({ content }) => content.body)).toEqual([]);
  });

  it('leaves every wait its length if the object was evicted meanwhile', async () => {
    const outside = new Outside();
    const thread = await working(outside);
    await send(prompted(thread, '', { signal: 'stop' }));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(2));
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 });
    await evictDurableObject(session(thread));
    await wake(thread);
    expect((await page(thread))?.session.phase).toBe('stopping');
  });
});
