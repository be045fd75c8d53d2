import { describe, expect, it } from 'vitest';
import type { Effect } from '../../src/session/lifecycle/model/effects.ts';
import { leftOut, lineFor, MOST_TOGETHER, MOST_WHOLE, together } from '../../src/session/storage/gathering.ts';

type Say = Extract<Effect, { kind: 'say' }>;

function say(id: string, type: 'thought' | 'action' | 'response' | 'elicitation' | 'error', change: Partial<Say> = {}) {
  const content = type === 'action' ? { type, action: 'Ran', parameter: id } : { type, body: id };
  const effect: Say = { kind: 'say', agentSessionId: 't', id, activity: { content, ephemeral: false }, ...change };
  return { effect, attempts: 0 };
}

const steps = (count: number) => Array.from({ length: count }, (_, index) => say(`step-${index}`, 'action'));
const ids = (lane: { effect: Effect }[]) => lane.map(({ effect }) => (effect.kind === 'say' ? effect.id : effect.kind));

const link: Effect = { kind: 'show', agentSessionId: 't', change: { urls: [{ label: 'l', url: 'u' }] } };

describe('what was gathered for a thread', () => {
  it('goes along whole if it fits into three requests', () => {
    expect(leftOut([...steps(MOST_WHOLE - 1), say('answer', 'response')])).toEqual([]);
  });

  it.each([51, 80, 400])('is shortened to one request beside an answer, with %i steps too many', (tooMany) => {
    const lane = [...steps(MOST_TOGETHER - 1 + tooMany), say('answer', 'response')];
    const gone = leftOut(lane);
    const left = [lane[0], ...lane.filter((waiting) => !gone.includes(waiting))];
    expect(left).toHaveLength(MOST_TOGETHER);
    expect(left.at(-1)?.effect).toMatchObject({ id: 'answer' });
    expect(ids(gone)).toEqual(steps(tooMany + 1).map(({ effect }) => effect.id));
  });

  it('keeps what people wait for, and what may be in Linear already', () => {
    const kept = [
      say('ack', 'thought', { urgency: 'answer' }),
      say('question', 'elicitation'),
      { ...say('tried', 'action'), attempts: 1 },
      { ...say('alone', 'action'), isAlone: true },
      { effect: link, attempts: 0 },
    ];
    const lane = [...kept, ...steps(100), say('answer', 'error')];
    const gone = new Set<object>(leftOut(lane));
    for (const waiting of [...kept, lane.at(-1)]) expect(gone.has(waiting as object)).toBe(false);
  });

  it('has a line in the place of what is not listed, with an id that Linear does not have yet', () => {
    const first = say('step-0', 'action').effect;
    expect(lineFor(first, 37)).toMatchObject({
      id: 'step-0',
      activity: { content: { type: 'thought', body: expect.stringContaining('37 steps') }, ephemeral: false },
    });
  });

  it('is sent one by one where it was refused together', () => {
    const lane = [say('a', 'action'), { ...say('b', 'action'), isAlone: true }, say('c', 'action')];
    expect(ids(together(lane))).toEqual(['a']);
    expect(ids(together(lane.slice(1)))).toEqual(['b']);
  });
});
