import { describe, expect, it } from 'vitest';
import type { JournalBody } from '../../src/protocol/journal.ts';
import type { Circumstances, Note } from '../../src/session/lifecycle/model/narration.ts';
import { tellThreads } from '../../src/session/lifecycle/narration/tell-threads.ts';
import { SessionPlay } from './support/session-play.ts';

const NORMAL: Circumstances = { isMuted: false, verbosity: 'normal', isAsking: false, shared: [] };
const plot = { name: 'plot.png', hash: 'a'.repeat(64), bytes: 10, type: 'image/png' };
const call: JournalBody = { kind: 'tool-call', toolUseId: 'u1', name: 'Bash', input: { command: 'npm test' } };
const thinking: JournalBody = { kind: 'thinking', text: 'It may be the cart.' };
const ended: JournalBody = {
  kind: 'turn-ended',
  outcome: 'completed',
  reason: 'completed',
  text: 'Fixed; see [the plot](share/plot.png).',
  durationMs: 1,
  numTurns: 1,
  costUsd: null,
  usage: null,
};

const entry = (body: JournalBody, as: Partial<Circumstances> = {}, threads = ['a', 'b']): Note => ({
  note: 'entry',
  body,
  threads,
  as: { ...NORMAL, ...as },
});

/** What threads are told of these notes, in short. */
function told(...notes: Note[]) {
  let ids = 0;
  const { effects } = tellThreads(new SessionPlay().state, notes, { now: 1_000_000, newId: () => `id-${++ids}` });
  return effects.map((effect) => {
    if (effect.kind !== 'say') return effect.kind;
    const { files, content } = effect.activity;
    return `${effect.agentSessionId}: ${content.type}${files ? ` with ${files.map(({ name }) => name).join()}` : ''}`;
  });
}

describe('what threads are told of a transition', () => {
  it('keeps its order among the other effects', () => {
    const other: Note = { note: 'effect', effect: { kind: 'find-room' } };
    expect(told(entry(call), other, entry(ended))).toEqual(['a: action', 'find-room', 'a: response', 'b: response']);
  });

  it('is the work in the thread that follows it, and its end in every thread that is owed one', () => {
    expect(told(entry(call), entry(ended))).toEqual(['a: action', 'a: response', 'b: response']);
  });

  it('is nothing in a session that is muted, and nothing without a thread', () => {
    expect(told(entry(ended, { isMuted: true }), entry(ended, {}, []))).toEqual([]);
  });

  it('is the end alone if the settings ask for quiet, and what Claude thinks too if they ask for everything', () => {
    expect(told(entry(call, { verbosity: 'quiet' }), entry(ended, { verbosity: 'quiet' }))).toEqual([
      'a: response',
      'b: response',
    ]);
    expect(told(entry(thinking))).toEqual([]);
    expect(told(entry(thinking, { verbosity: 'verbose' }))).toEqual(['a: thought']);
  });

  it('never takes the place of a question that waits for people', () => {
    expect(told(entry(call, { isAsking: true }))).toEqual([]);
  });

  it('brings along the files that the end links, and no other', () => {
    const shared = [plot, { ...plot, name: 'other.png' }];
    expect(told(entry(ended, { shared }))).toEqual(['a: response with plot.png', 'b: response with plot.png']);
    expect(told(entry({ ...ended, text: 'Fixed.' }, { shared }))).toEqual(['a: response', 'b: response']);
  });
});
