import { describe, expect, it } from 'vitest';
import type { JournalBody, JournalEntry, JournalKind } from '../../src/protocol/journal.ts';
import { workSummary } from '../../src/session/effects/work-summary.ts';

/** A journal in which turns follow each other. */
class Turns {
  readonly entries: JournalEntry[] = [];

  add(turn: number, body: JournalBody): this {
    this.entries.push({ seq: this.entries.length + 1, at: 1, turn, ...body });
    return this;
  }

  turn(turn: number, asked: string, answer: string, newCommits: number, outcome: 'completed' | 'failed' = 'completed') {
    const rest = { reason: outcome, durationMs: 1, usage: null, costUsd: null, numTurns: 1 };
    const promptId = `p${turn}`;
    const branch = { branch: 'b', head: 'a', commits: [], files: [], pushed: true, patchBytes: null };
    return this.add(turn - 1, {
      kind: 'prompt',
      promptId,
      agentSessionId: null,
      author: null,
      source: 'page',
      text: asked,
    })
      .add(turn, { kind: 'turn-started', promptIds: [promptId] })
      .add(turn, { kind: 'saved', newCommits, ...branch })
      .add(turn, { kind: 'turn-ended', outcome, text: answer, ...rest });
  }

  newest(kind: JournalKind, limit: number): JournalEntry[] {
    return this.entries.filter((entry) => entry.kind === kind).slice(-limit);
  }
}

describe('what a pull request says of the work', () => {
  it('is the answer alone while there was one turn', () => {
    expect(workSummary({ turn: 1, summary: 'Mended.' }, null, new Turns())).toBe('Mended.');
  });

  it('leaves out turns that changed nothing or failed', () => {
    const journal = new Turns()
      .turn(1, 'Do it', 'Done.', 2)
      .turn(2, 'Why?', 'Because.', 0)
      .turn(3, 'More', 'No.', 1, 'failed');
    journal.add(3, {
      kind: 'prompt',
      promptId: 'p4',
      agentSessionId: null,
      author: null,
      source: 'page',
      text: '# Again',
    });
    journal.add(4, { kind: 'turn-started', promptIds: ['p4'] });
    expect(workSummary({ turn: 4, summary: 'Done again.' }, 12, journal)).toBe('Done.\n\n### Again\n\nDone again.');
  });

  it('does not tell again what an earlier pull request brought', () => {
    const journal = new Turns().turn(1, 'Do it', 'Done.', 2);
    journal.add(1, { kind: 'pull-request', state: 'opened', number: 12, url: 'https://x', draft: false });
    expect(workSummary({ turn: 2, summary: 'New work.' }, null, journal)).toBe('New work.');
    expect(workSummary({ turn: 2, summary: 'New work.' }, 12, journal)).toBe('Done.\n\n### Follow-up\n\nNew work.');
  });

  it('stays within what GitHub takes, however many turns there were', () => {
    const journal = new Turns();
    for (let turn = 1; turn < 50; turn += 1) journal.turn(turn, `Request ${turn}`, 'long '.repeat(2_000), 1);
    const text = workSummary({ turn: 50, summary: 'The last. '.repeat(900) }, null, journal);
    expect(text.length).toBeLessThanOrEqual(30_200);
    expect(text).toContain('The last.');
  });
});
