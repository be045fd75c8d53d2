import { describe, expect, it } from 'vitest';
import { type JournalEntry, journalBodySchema, journalEntrySchema } from '../../src/protocol/journal.ts';
import { phaseSchema } from '../../src/protocol/viewer.ts';
import { renderLog } from '../../src/session/effects/log-document.ts';
import { describeEffect, laneOf } from '../../src/session/lifecycle/effects/index.ts';
import type { SessionState } from '../../src/session/lifecycle/model/state.ts';
import { reduce } from '../../src/session/lifecycle/reduce.ts';
import { rowOf } from '../../src/session/lifecycle/session-row.ts';
import { STATE_VERSION, upgradeEffect, upgradeEntry, upgradeState } from '../../src/session/storage/upgrade.ts';
import { viewOf } from '../../src/session/viewers/session-view.ts';
import { released, releasedVersions } from './support/released.ts';

function read(line: string): SessionState {
  const upgraded = upgradeState(JSON.parse(line));
  if (!upgraded.ok) throw new Error(upgraded.why);
  return upgraded.value;
}

/** An entry as a page is given it. */
function entryOf(line: string, seq: number): JournalEntry {
  const { at, turn, body } = JSON.parse(line);
  return { seq, at, turn, ...upgradeEntry(JSON.stringify(body)) };
}

/** Effects that have another name by now. */
const NAMED_NOW: Record<string, string> = { 'ask-place': 'request-slot', 'give-place': 'release-slot' };

describe.each(releasedVersions)('what version %s stored', (version) => {
  it('continues, in every phase: a comment, a stop and the passing of time are taken in, and the page shows it', () => {
    for (const line of released(version, 'states')) {
      const state = read(line);
      expect(state.version).toBe(STATE_VERSION);
      const now = state.updatedAt + 1_000;
      let ids = 0;
      const context = { now, newId: () => `id-${++ids}` };
      const prompted = {
        type: 'prompted',
        promptId: 'p-new',
        agentSessionId: 'thread-1',
        author: 'Ada',
        person: null,
        source: 'comment',
        text: 'Go on.',
      } as const;
      const stopped = { type: 'stop-requested', id: 's', agentSessionId: null, author: null, source: 'page' } as const;
      for (const event of [prompted, stopped, { type: 'deadline' } as const]) {
        const next = reduce(state, event, context).state;
        expect(next.revision).toBe(state.revision + 1);
        expect(viewOf(next, { workspaceName: 'Acme', scriptedModel: false }).phase).toBe(next.phase.name);
        expect(rowOf(next).id).toBe(state.id);
      }
    }
  });

  it('has every phase among its fixtures', () => {
    const phases = new Set(released(version, 'states').map((line) => JSON.parse(line).phase.name));
    expect([...phases].toSorted()).toEqual([...phaseSchema.options].toSorted());
  });

  it('is carried out: every effect is read, has a lane and words', () => {
    for (const line of released(version, 'effects')) {
      const effect = upgradeEffect(line);
      if (!effect.ok) throw new Error(`${line}: ${effect.why}`);
      const { kind, ...rest } = JSON.parse(line);
      expect(effect.value).toEqual({ ...rest, kind: NAMED_NOW[kind] ?? kind });
      expect(laneOf(effect.value)).not.toBe('');
      expect(describeEffect(effect.value)).not.toBe('');
    }
  });

  it('is told: every journal entry is of the documented shape, and in the log of its turn', () => {
    const entries = released(version, 'journal').map((line, index) => entryOf(line, index + 1));
    for (const entry of entries) journalEntrySchema.parse(entry);
    const meta = { identifier: 'ENG-1', title: 'The cart', repository: 'acme/shop', branch: 'cyrus/eng-1', turn: 1 };
    expect(renderLog(meta, entries)).toContain('ENG');
  });
});

it('a session in the queue keeps its queue position, under the name of today and under the one that the version before reads', () => {
  const queued = releasedVersions.flatMap((version) =>
    released(version, 'states').filter((line) => JSON.parse(line).phase.name === 'queued'),
  );
  expect(queued).toHaveLength(releasedVersions.length);
  for (const line of queued) {
    const { place } = JSON.parse(line).phase;
    expect(place).toBeGreaterThan(0);
    const { state } = reduce(read(line), { type: 'queue-moved', position: place + 1 }, { now: 0, newId: () => 'id' });
    expect(read(line).phase).toMatchObject({ position: place, place });
    expect(state.phase).toMatchObject({ position: place + 1, place: place + 1 });
  }
});

it('after a rollback and another update a session in the queue has the position at which the version before left it', () => {
  const [line] = releasedVersions.flatMap((version) =>
    released(version, 'states').filter((one) => JSON.parse(one).phase.name === 'queued'),
  );
  const { phase, ...state } = JSON.parse(line ?? '');
  const left = { ...state, phase: { ...phase, position: 3, place: 2 } };
  expect(read(JSON.stringify(left)).phase).toMatchObject({ position: 2, place: 2 });
});

it('every kind of journal entry has a fixture of the first version', () => {
  const kinds = new Set(released('1', 'journal').map((line) => JSON.parse(line).body.kind));
  expect([...kinds].toSorted()).toEqual(journalBodySchema.options.map((option) => option.shape.kind.value).toSorted());
});

describe('what this version cannot know', () => {
  const [line = '{}'] = released('1', 'states');
  const state: object = JSON.parse(line);

  it('is a state of a newer version, and is named with both versions', () => {
    const upgraded = upgradeState({ ...state, version: STATE_VERSION + 5 });
    expect(upgraded).toMatchObject({ ok: false });
    expect(upgraded.ok ? '' : upgraded.why).toContain(`version ${STATE_VERSION + 5}`);
    expect(upgraded.ok ? '' : upgraded.why).toContain(`up to ${STATE_VERSION}`);
  });

  it('is a phase of a newer version, and is named', () => {
    const upgraded = upgradeState({ ...state, phase: { name: 'reviewing', since: 1 } });
    expect(upgraded.ok ? '' : upgraded.why).toContain('"reviewing"');
  });

  it.each([
    ['nothing at all', null],
    ['a list', []],
    ['a state without a version', { ...state, version: undefined }],
    ['a state without its turn', { ...state, phase: { name: 'working', since: 1 } }],
    ['a state without its sandbox', { ...state, sandbox: undefined }],
  ])('is %s, and is refused with a message instead of thrown', (_what, stored) => {
    const upgraded = upgradeState(stored);
    expect(upgraded.ok ? '' : upgraded.why).not.toBe('');
  });

  it('is an effect of a newer version, which is left for that version', () => {
    expect(upgradeEffect(JSON.stringify({ kind: 'send-pigeon', to: 'Ada' })).ok).toBe(false);
    expect(upgradeEffect(JSON.stringify({ kind: 'constructor' })).ok).toBe(false);
    expect(upgradeEffect(JSON.stringify({ kind: 'say' })).ok).toBe(false);
    expect(upgradeEffect('{').ok).toBe(false);
  });

  it('is an entry of a newer version, which is shown as it is', () => {
    const raw = JSON.stringify({ kind: 'weather', sky: 'blue' });
    expect(upgradeEntry(raw)).toEqual({ kind: 'unknown', type: 'weather', raw });
    expect(upgradeEntry('no JSON')).toEqual({ kind: 'unknown', type: 'journal', raw: 'no JSON' });
  });
});
