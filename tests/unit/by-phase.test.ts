import { describe, expect, test } from 'vitest';
import { byPhase, onlyIn } from '../../src/session/lifecycle/model/by-phase.ts';
import type { PhaseState, Turn } from '../../src/session/lifecycle/model/phases.ts';
import { initialState } from '../../src/session/lifecycle/model/state.ts';
import { Step } from '../../src/session/lifecycle/model/transition.ts';

const turn: Turn = { number: 3, startedAt: 0, prompts: [], losses: 0 };

function stepIn(phase: PhaseState): Step {
  const about = {
    id: 's',
    workspaceId: 'w',
    origin: 'https://cyrus.test',
    issue: null,
    branch: 'b',
    conversationId: 'c',
  };
  return new Step({ ...initialState({ ...about, now: 0 }), phase }, { now: 1, newId: () => 'id' });
}

describe('a table of what an event does in each phase', () => {
  const describePhase = byPhase<[mark: string], string>(
    { starting: (_step, { reason }, mark) => `${reason}${mark}`, queued: (_step, phase) => `at ${phase.askAt}` },
    (_step, { name }, mark) => `${name}${mark}`,
  );

  test('hands each part its own phase, and the rest of what the event brings', () => {
    expect(describePhase(stepIn({ name: 'starting', since: 0, reason: 'Fetching', turn }), '!')).toBe('Fetching!');
    expect(describePhase(stepIn({ name: 'working', since: 0, turn }), '?')).toBe('working?');
  });

  test('goes by the phase at the time of the call, not by the one in which the event arrived', () => {
    const step = stepIn({ name: 'working', since: 0, turn });
    step.enter({ name: 'waiting', since: 1 });
    expect(describePhase(step, '')).toBe('waiting');
  });

  test('changes nothing in a phase in which the event means nothing', () => {
    const end = onlyIn({ working: (step) => step.enter({ name: 'waiting', since: step.now }) });
    const [working, waiting] = [stepIn({ name: 'working', since: 0, turn }), stepIn({ name: 'waiting', since: 0 })];
    end(working);
    end(waiting);
    expect(working.state.phase).toEqual({ name: 'waiting', since: 1 });
    expect(waiting.state.phase).toEqual({ name: 'waiting', since: 0 });
  });

  test('does not compile if it omits a phase and has no rule for the others', () => {
    // @ts-expect-error seven phases are missing
    const forgetful = byPhase<[], string>({ working: () => 'working' });
    expect(() => forgetful(stepIn({ name: 'waiting', since: 0 }))).toThrow(TypeError);
  });
});
