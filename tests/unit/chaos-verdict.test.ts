import { describe, expect, it } from 'vitest';
import type { ActivityView, SessionView } from '../../dev/linear/control/views.ts';
import type { JournalBody, JournalEntry } from '../../src/protocol/journal.ts';
import { type Evidence, judge } from '../chaos/verdict.ts';

const AT = '2026-11-28T12:00:00.000Z';
const ADA = { id: 'ada', name: 'Ada', app: false };

type Told = ['prompt' | 'response', string];

function thread(id: string, told: Told[]): SessionView {
  const activities = told.map(
    ([type, body], index): ActivityView => ({
      id: `${id}-${index}`,
      type,
      content: { type, body },
      ephemeral: false,
      visible: true,
      signal: null,
      signalMetadata: null,
      commentId: null,
      author: type === 'prompt' ? ADA : { ...ADA, app: true },
      createdAt: AT,
    }),
  );
  return {
    id,
    issueId: 'issue',
    documentId: null,
    status: 'complete',
    unresponsive: false,
    summary: null,
    plan: null,
    externalUrls: [],
    commentId: 'comment',
    sourceCommentId: null,
    creator: ADA,
    createdAt: AT,
    startedAt: null,
    endedAt: null,
    url: '',
    activities,
  };
}

function asked(promptId: string, agentSessionId: string): JournalBody {
  return { kind: 'prompt', promptId, agentSessionId, author: 'Ada', source: 'comment', text: promptId };
}

const ENDED: JournalBody = {
  kind: 'turn-ended',
  outcome: 'completed',
  text: 'Done.',
  reason: 'completed',
  durationMs: 1,
  usage: null,
  costUsd: null,
  numTurns: 1,
};

/** A turn that answers what two threads asked, and what comes after it. */
function evidence(after: JournalBody[], second: Told[]): Evidence {
  const bodies: JournalBody[] = [
    asked('a', 'a'),
    { kind: 'turn-started', promptIds: ['a'] },
    asked('b', 'b'),
    ENDED,
    ...after,
  ];
  const journal = bodies.map((body, index): JournalEntry => ({ ...body, seq: index + 1, at: index, turn: 1 }));
  const closed = ['a', 'b'].map((id) => ({ id, how: 'answered' }));
  const reads = ['a', 'b'].map((id) => ({ id, text: id, at: 1 }));
  const mustBe = new Set(journal.flatMap((entry) => (entry.kind === 'prompt' ? [entry.promptId] : [])));
  const threads = [thread('a', [['response', 'Done.']]), thread('b', second)];
  return { threads, journal, acknowledged: [], asked: { mustBe, mayBe: new Set() }, closed, reads };
}

const LATE =
  'That question was answered before, by Ada, so this changed nothing. If you meant something else, write it again.';
const NOTICE: JournalBody = { kind: 'notice', level: 'info', text: LATE };
const SAID: Told[] = [
  ['prompt', 'Half up'],
  ['response', 'Done.'],
];

describe('the verdict on a random history', () => {
  it('finds nothing wrong with a late answer that is told once that it changed nothing', () => {
    const told: Told[] = [...SAID, ['response', LATE]];
    expect(judge(evidence([asked('late', 'b'), NOTICE], told)).violations).toEqual([]);
  });

  it('finds a late answer that is told more often than it came', () => {
    const twice: Told[] = [...SAID, ['response', LATE], ['prompt', 'And?'], ['response', LATE]];
    expect(judge(evidence([asked('late', 'b'), NOTICE], twice)).violations).toContainEqual(
      expect.stringContaining('more late answers than came'),
    );
  });

  it('finds nothing wrong with a request that a stop overtook, told once so while another turn is under way', () => {
    const stop: JournalBody = { kind: 'stop-requested', author: 'Ada', source: 'comment' };
    const page = { agentSessionId: null, author: 'Ada', source: 'page' } as const;
    const byPage: JournalBody = { kind: 'prompt', promptId: 'c', ...page, text: 'c' };
    const later = [stop, byPage, { kind: 'turn-started', promptIds: ['c'] } as JournalBody, asked('over', 'b'), ENDED];
    const words = 'This was asked before the work was stopped, and is not begun.';
    const judged = (told: Told[]) => {
      const all = evidence(later, told);
      all.closed.push({ id: 'c', how: 'answered' });
      all.reads.push({ id: 'c', text: 'c', at: 1 });
      return judge(all).violations;
    };
    expect(judged([...SAID, ['response', words]])).toEqual([]);
    expect(judged([...SAID, ['response', words], ['prompt', 'And?'], ['response', 'Done.']])).toContainEqual(
      expect.stringContaining('3 closing activities'),
    );
  });

  it('finds an answer that is given twice', () => {
    const twice: Told[] = [...SAID, ['response', 'Done.']];
    expect(judge(evidence([], twice)).violations).toContainEqual(expect.stringContaining('2 closing activities'));
  });

  it('finds a request that is in no journal, and one that nobody asked', () => {
    const lost = evidence([], SAID);
    lost.asked.mustBe.add('lost');
    expect(judge(lost).violations).toContainEqual(expect.stringContaining('the prompt lost was lost'));
    const invented = evidence([asked('invented', 'b'), NOTICE], [...SAID, ['response', LATE]]);
    invented.asked.mustBe.delete('invented');
    expect(judge(invented).violations).toContainEqual(expect.stringContaining('nobody asked the prompt invented'));
  });
});
