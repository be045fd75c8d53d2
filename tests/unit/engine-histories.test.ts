import { afterAll, expect, it } from 'vitest';
import { CRASH_POINTS, type CrashPoint } from '../../src/kernel/platform.ts';
import type { SessionState } from '../../src/session/lifecycle/model/state.ts';
import { histories, written } from '../histories.ts';
import { EnginePlay } from './support/engine-play.ts';
import { Random } from './support/random.ts';
import { World } from './support/world.ts';

/** Share of crash points that end the program, and of transactions that cannot be stored. */
const CRASHES = 0.03;
const crashes = new Map<CrashPoint, number>();
let rollbacks = 0;

/** A session with its world, played on the engine until it is at rest. */
async function play(seed: number, hasTrouble: boolean, steps: number): Promise<void> {
  const session = new EnginePlay(new Random(seed * 7 + 1), CRASHES);
  const world = new World(seed, hasTrouble, 0, session);
  session.onUnheard = (effect) => world.carryOutUnheard(effect);
  try {
    for (let step = 0; step < steps; step++) {
      world.act({ stop: 0.16, ...(hasTrouble && { answer: 0.25 }) });
      await session.tick();
    }
    session.isCalm = true;
    // What is told may be gathered for minutes, and a program that ended is woken by its alarm.
    for (let minutes = 0; minutes < 10; minutes++) {
      for (const _ of world.settling()) await session.tick();
      session.deadline(60_000);
      await session.tick();
    }
    world.judge();
    if (session.effects.length === 0) return;
    expect(session.stored(), `seed ${seed}: effects that nobody carries out`).toEqual([]);
    const told = new Map<string, string[]>();
    for (const effect of session.effects) {
      if (effect.kind !== 'say' || effect.activity.ephemeral) continue;
      told.set(effect.agentSessionId, [...(told.get(effect.agentSessionId) ?? []), effect.id]);
    }
    for (const [thread, ids] of told) {
      const inLinear = (session.linear.get(thread) ?? []).filter((id) => ids.includes(id));
      expect(inLinear, `seed ${seed}: what ${thread} was told`).toEqual(ids);
    }
    expect(comparable(session.reread()), `seed ${seed}: the state as it is stored`).toEqual(comparable(session.state));
  } finally {
    rollbacks += session.rollbacks;
    for (const [point, count] of session.crashes) crashes.set(point, (crashes.get(point) ?? 0) + count);
    session.close();
  }
}

/** What has to be the same: signs of life are stored now and then, and calls are read from the journal. */
function comparable({ calls: _, revision: __, updatedAt: ___, sandbox, ...state }: SessionState): unknown {
  return JSON.parse(JSON.stringify({ ...state, sandbox: { ...sandbox, heardAt: 0 } }));
}

const count = histories(400);
it(`a session whose program ends at random crash points closes every request once, with its answer in its thread, and tells Linear everything once and in order, in ${written(count)} random histories`, async () => {
  for (let seed = 1; seed <= count; seed++) await play(seed, false, 80);
}, 180_000);

const troubled = histories(300);
it(`a session whose program ends at random crash points comes to rest, though Claude asks people, meets limits and loses its sandbox, in ${written(troubled)} random histories`, async () => {
  for (let seed = 1; seed <= troubled; seed++) await play(seed, true, 100);
}, 180_000);

afterAll(() => {
  expect(rollbacks).toBeGreaterThan(0);
  // Fewer histories may miss a rare one.
  if (count >= 400) expect([...crashes.keys()].toSorted()).toEqual([...CRASH_POINTS].toSorted());
});
