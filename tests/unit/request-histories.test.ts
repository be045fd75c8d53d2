import { expect, it } from 'vitest';
import { histories, written } from '../histories.ts';
import { World } from './support/world.ts';

const count = histories(1_500);
it(`a session reads or explains every request, closes each once with its own answer, and runs nothing after its stop, in ${written(count)} random histories`, () => {
  for (let seed = 1; seed <= count; seed++) {
    const world = new World(seed);
    for (let steps = 0; steps < 80; steps++) {
      const what = world.random.next();
      if (what < 0.12) world.ask();
      else if (what < 0.17) world.stop();
      else world.step(false);
    }
    world.settle();
    world.judge();
    expect(world.requests.size, `seed ${seed}`).toBe(world.closed.size);
  }
}, 120_000);

const troubled = histories(1_000);
it(`a session comes to rest and closes every request once, though Claude asks people, meets limits, loses its sandbox and cannot be reached, in ${written(troubled)} random histories`, () => {
  for (let seed = 1; seed <= troubled; seed++) {
    const world = new World(seed, true);
    for (let steps = 0; steps < 100; steps++) {
      const what = world.random.next();
      if (what < 0.12) world.ask();
      else if (what < 0.16) world.stop();
      else if (what < 0.25) world.answer();
      else world.step(false);
    }
    world.settle();
    world.judge();
  }
}, 120_000);
