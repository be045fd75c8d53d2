/** A Durable Object as the place that an engine runs in. */
import type { Platform } from '../../kernel/platform.ts';

/** @param ctx of the object, whose `alarm` calls the engine's */
export function objectPlatform(ctx: DurableObjectState): Platform {
  const { storage } = ctx;
  return {
    sql: storage.sql,
    transaction: (act) => storage.transactionSync(act),
    now: () => Date.now(),
    random: () => Math.random(),
    newId: () => crypto.randomUUID(),
    setAlarm: (at) => storage.setAlarm(at),
    waitUntil: (work) => ctx.waitUntil(work),
  };
}
