import { describe, expect, test } from 'vitest';
import type { JournalBody } from '../../src/protocol/journal.ts';
import { flightOf } from '../../src/web/outline/flight.ts';
import { outlineOf } from '../../src/web/outline/outline.ts';
import { timelineRows } from '../../src/web/outline/rows.ts';
import { isStarting, lastLogLine, startSteps } from '../../src/web/outline/start.ts';
import { Journal } from './support/web-journal.ts';

const starting = { phase: 'starting', phaseSince: 0, reason: 'Starting the sandbox' } as const;
const last = (journal: Journal) => {
  const section = outlineOf(journal.entries).sections.at(-1);
  if (section === undefined) throw new Error('there is no section');
  return section;
};
const told = (journal: Journal, view: Parameters<typeof startSteps>[1] = starting) =>
  startSteps(last(journal), view).map(
    ({ name, state, tookMs }) => `${state} ${name}${tookMs === null ? '' : ` ${tookMs}`}`,
  );
const step = (name: 'mirror' | 'worktree' | 'setup', status: 'started' | 'done', more = {}) =>
  ({ kind: 'step', step: name, status, ...more }) as const;
const claude: JournalBody = {
  ...{ kind: 'claude-started', model: 'opus', version: '2.1', cwd: '/', tools: [], mcpServers: [] },
};

describe('the start of a turn', () => {
  test('is a list of what is done with its time, what runs, and what is to come', () => {
    const journal = new Journal().prompt('p').begin(1, 'p');
    expect(told(journal)).toEqual([
      'done Asked by Ada',
      'running Starting the sandbox',
      'next Fetching the repository',
      'next Checking out the branch',
      'next Start Claude',
      'next First thought',
    ]);
    journal.add(step('mirror', 'started'));
    expect(told(journal).slice(1, 3)).toEqual(['done Sandbox started 1000', 'running Fetching the repository']);
    journal.add(step('mirror', 'done'), step('worktree', 'started'), step('worktree', 'done'), claude);
    expect(told(journal).slice(2)).toEqual([
      'done Repository fetched 1000',
      'done Branch checked out 1000',
      'done Claude started 1000',
      'running First thought',
    ]);
  });

  test('says since when a slot is waited for, and how long that took', () => {
    const journal = new Journal().prompt('p').begin(1, 'p');
    journal.add({ kind: 'notice', level: 'info', text: 'Next in the queue.', slot: 'awaited' });
    const queued = { phase: 'queued', phaseSince: 3000, reason: 'Next in the queue' } as const;
    expect(told(journal, queued).slice(1, 3)).toEqual(['running Waiting for a slot', 'next Start a sandbox']);
    journal.add({ kind: 'notice', level: 'info', text: 'A slot is free.', slot: 'free' });
    expect(told(journal).slice(1, 3)).toEqual(['done Waited for a slot 1000', 'running Starting the sandbox']);
  });

  test('says why it takes its time, which step failed, and what the setup printed last', () => {
    const journal = new Journal().prompt('p').begin(1, 'p');
    const waits = { ...starting, reason: 'The sandbox cannot be reached' };
    expect(startSteps(last(journal), waits)[1]?.detail).toBe('The sandbox cannot be reached');
    journal.add(step('setup', 'started'), { kind: 'output', source: 'setup', text: 'npm install\nadded 3 packages\n' });
    expect(lastLogLine(last(journal))).toBe('added 3 packages');
    journal.add(step('setup', 'done', { failed: true, detail: 'exit code 1' }));
    expect(told(journal)).toContain('failed cyrus-setup.sh failed 2000');
  });

  test('gives way to the work with the first thing that Claude says, thinks or calls', () => {
    const journal = new Journal().prompt('p').begin(1, 'p').add(step('mirror', 'started'), step('mirror', 'done'));
    const types = () =>
      timelineRows(outlineOf(journal.entries), () => undefined).map((row) =>
        row.type === 'item' ? row.item.type : row.type,
      );
    expect(isStarting(last(journal))).toBe(true);
    expect(types()).toEqual(['turn', 'message']);
    journal.text('I look at it.');
    expect(isStarting(last(journal))).toBe(false);
    expect(types()).toEqual(['turn', 'message', 'steps', 'text']);
  });
});

describe('the flight record of a turn', () => {
  const flight = (journal: Journal) =>
    flightOf(journal.entries).map(({ text, tookMs, level }) => {
      const took = tookMs === null ? '' : ` (${tookMs})`;
      return `${level === 'plain' ? '' : `${level}: `}${text}${took}`;
    });

  test('tells from the request to the end what happened, and how long each part took', () => {
    const journal = new Journal().prompt('p').begin(1, 'p');
    journal.add({ kind: 'notice', level: 'info', text: 'Next in the queue.', slot: 'awaited' });
    journal.add({ kind: 'notice', level: 'info', text: 'A slot is free.', slot: 'free' });
    journal.add(step('mirror', 'started'), step('mirror', 'done', { detail: '20 commits fetched' }), claude);
    journal.text('I look.').call('a').result('a').end('completed');
    expect(flight(journal)).toEqual([
      'Ada wrote',
      'Turn 1 began',
      'Next in the queue.',
      'A slot is free.',
      'The sandbox was ready (1000)',
      'Repository fetched: 20 commits fetched (1000)',
      'Claude Code 2.1 ran, with opus',
      'Claude began (1000)',
      'Done (1000)',
    ]);
  });

  test('of a turn that failed names the step that did not end, what was tried again, and the reason', () => {
    const journal = new Journal().prompt('p').begin(1, 'p').add(step('mirror', 'started'));
    const retry = { kind: 'retry', maxAttempts: 10, delayMs: 500, httpStatus: 529, error: 'overloaded' } as const;
    journal.add({ ...retry, attempt: 1 }, { ...retry, attempt: 2 });
    journal.add({ kind: 'notice', level: 'warning', text: 'The sandbox was lost.' }).end('failed');
    expect(flight(journal).slice(2)).toEqual([
      'The sandbox was ready (1000)',
      'warning: Fetching the repository did not end',
      "warning: Claude's API answered 529, tried again 2 times",
      'warning: The sandbox was lost.',
      'error: Failed (failed) (1000)',
    ]);
  });

  test('stays short, however long and hostile the turn', () => {
    const journal = new Journal().prompt('p').begin(1, 'p');
    for (let n = 0; n < 500; n += 1) {
      journal.add({ kind: 'notice', level: 'warning', text: `${n} ${'x'.repeat(5_000)}` });
    }
    const moments = flightOf(journal.end('failed').entries);
    expect(moments).toHaveLength(80);
    expect(Math.max(...moments.map(({ text }) => text.length))).toBeLessThanOrEqual(240);
    expect(moments.at(-1)?.text).toBe('Failed (failed)');
  });
});
