import { describe, expect, it } from 'vitest';
import { readChoices } from '../../src/session/lifecycle/questions/choices.ts';

const choices = [
  { id: 'red', label: 'Red' },
  { id: 'blue', label: 'Blue' },
  { id: 'both', label: 'Salt and pepper, ground' },
];

describe('an answer that chooses several options', () => {
  it.each([
    ['Red, blue', ['red', 'blue']],
    ['red and blue', ['red', 'blue']],
    ['- Red\n- Blue', ['red', 'blue']],
    ['1, 3', ['red', 'both']],
    ['Blue, Salt and pepper, ground', ['blue', 'both']],
    ['Red', ['red']],
  ])('%j means them, by name, by number, also if a name has a comma in it', (text, ids) => {
    expect(readChoices(text, choices)?.map(({ id }) => id)).toEqual(ids);
  });

  it.each(['Red, or maybe not', 'Green and blue', ''])(
    '%j means none for certain, and is taken as what was said',
    (text) => {
      expect(readChoices(text, choices)).toBeNull();
    },
  );
});
