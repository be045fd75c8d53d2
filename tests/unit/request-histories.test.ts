import { expect, it } from 'vitest';
import { histories, written } from '../histories.ts';
import { World } from './support/world.ts';

const count = histories(1_500);
it(`a session reads or explains every request, closes each once with its own answer, and runs nothing after its stop, in ${written(count)} random histories`, () => {
  for (let seed = 1; seed <= count; seed++) {
    const world = new World(seed);
    world.live(80, { stop: 0.17 });
    world.settle();
    world.judge();
    expect(world.requests.size, `seed ${seed}`).toBe(world.closed.size);
  }
}, 120_000);

const troubled = histories(1_000);
it(`a session comes to rest and closes every request once, though Claude asks people, meets limits, loses its sandbox and cannot be reached, in ${written(troubled)} random histories`, () => {
  for (let seed = 1; seed <= troubled; seed++) {
    const world = new World(seed, true);
    world.live(100, { stop: 0.16, answer: 0.25 });
    world.settle();
    world.judge();
  }
}, 120_000);
