import { describe, expect, it } from 'vitest';
import { chosen, mutantsOf } from '../../dev/mutate.ts';

const SOURCE = `function end(step) {
  if (step.turns >= 3) stop(step);
  return { isOver: true };
}
`;

describe('the mutations of a file', () => {
  it('change one comparison, condition, call or answer each, and name its line', () => {
    expect(mutantsOf('end.ts', SOURCE).map(({ line, from, to }) => `${line}: ${from} → ${to}`)).toEqual([
      '2: step.turns >= 3 → true',
      '2: step.turns >= 3 → false',
      '2: >= → >',
      '2: stop(step); → {}',
      '3: true → false',
    ]);
  });

  it('change only what they name', () => {
    const [mutant] = mutantsOf('end.ts', SOURCE).filter(({ from }) => from === '>=');
    const changed = mutant && SOURCE.slice(0, mutant.start) + mutant.to + SOURCE.slice(mutant.end);
    expect(changed).toBe(SOURCE.replace('>=', '>'));
  });

  it('are the same for the same seed, and others for another', () => {
    const all = Array.from({ length: 100 }, (_, number) => number);
    expect(chosen(all, 10, 1)).toEqual(chosen(all, 10, 1));
    expect(chosen(all, 10, 2)).not.toEqual(chosen(all, 10, 1));
    expect(new Set(chosen(all, 100, 3)).size).toBe(100);
  });
});
