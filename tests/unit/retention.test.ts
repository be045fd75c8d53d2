import { describe, expect, it } from 'vitest';
import type { JournalEntry } from '../../src/protocol/journal.ts';
import { mayHoldUnpushed, removalTimes } from '../../src/session/lifecycle/model/retention.ts';
import { initialState, type SessionState } from '../../src/session/lifecycle/model/state.ts';

type Saved = Extract<JournalEntry, { kind: 'saved' }>;

const DAY = 24 * 3_600_000;
const ended = 100 * DAY;
const retention = {
  ...{ checkpoints: 10 * DAY, egress: 20 * DAY, patches: 30 * DAY, logs: 40 * DAY, sessions: 50 * DAY },
  ...{ usage: null, audit: null },
};

/** A session whose second turn is over, with a checkpoint. */
function atRest(more: Partial<SessionState> = {}): SessionState {
  const about = { id: 'session', workspaceId: 'w', origin: 'https://cyrus.test', issue: null, branch: 'cyrus/eng-1' };
  return {
    ...initialState({ ...about, conversationId: crypto.randomUUID(), now: ended }),
    turns: 2,
    checkpoint: { generation: 1, sequence: 3, at: ended, eventSeq: 9, prompts: [] },
    ...more,
  };
}

function saved(more: Partial<Saved> = {}): Saved {
  const files = [{ path: 'src/cart.js', additions: 1, deletions: 1 }];
  return {
    ...{ seq: 20, at: ended, turn: 2, kind: 'saved', branch: 'cyrus/eng-1', head: 'a'.repeat(40), commits: [], files },
    ...{ newCommits: 1, pushed: true, patchBytes: null },
    ...more,
  };
}

describe('a checkpoint', () => {
  it.each<[string, Saved]>([
    ['was pushed', saved()],
    ['changed nothing', saved({ pushed: false, files: [], newCommits: 0 })],
  ])('is removed in its time when the last turn %s', (_, last) => {
    const state = atRest();
    const times = removalTimes(state, retention, null, mayHoldUnpushed(state, last));
    expect(times).toContainEqual({ part: 'checkpoint', at: ended + retention.checkpoints });
  });

  it.each<[string, Saved | null]>([
    ['could not be pushed', saved({ pushed: false })],
    ['could not even be read for the save', saved({ pushed: false, files: [], problem: 'It could not be saved.' })],
    ['left something behind that no push takes along', saved({ problem: 'A branch beside is not pushed.' })],
    ['failed before a save, after one that was saved', saved({ turn: 1 })],
    ['failed before the first save', null],
  ])('stays as long as the session when the work of the last turn %s', (_, last) => {
    const state = atRest();
    const times = removalTimes(state, retention, null, mayHoldUnpushed(state, last));
    expect(times.map(({ part }) => part)).toEqual(['egress', 'patches', 'logs', 'session']);
  });

  it('that nothing begins from any more holds nothing', () => {
    expect(mayHoldUnpushed(atRest({ checkpoint: null }), null)).toBe(false);
  });
});
