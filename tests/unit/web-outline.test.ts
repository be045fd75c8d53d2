import { describe, expect, test } from 'vitest';
import { creationHunks, diffCounts, diffLines } from '../../src/web/outline/diff.ts';
import { failureText, lineText, retryText } from '../../src/web/outline/line-words.ts';
import type { Item } from '../../src/web/outline/model.ts';
import { outlineOf } from '../../src/web/outline/outline.ts';
import { stepsOf } from '../../src/web/outline/steps.ts';
import { toolSummary } from '../../src/web/outline/tool-summary.ts';
import { Journal } from './support/web-journal.ts';

/** The outline in a notation for eyes: one word an item, rows of work in brackets. */
function drawn(items: readonly Item[]): string {
  return items
    .map((item) => {
      if (item.type !== 'work') return item.type;
      const rows = item.rows.map((row) => {
        if (row.type !== 'tool') return row.type;
        const nested = row.items.length > 0 ? `(${drawn(row.items)})` : '';
        return `${row.id}${row.result === null ? '…' : ''}${nested}`;
      });
      return `[${rows.join(' ')}]`;
    })
    .join(' ');
}

describe('the outline of a journal', () => {
  test('has a section for each turn, with the prompt that led to it and the preparations', () => {
    const journal = new Journal()
      .prompt('p1')
      .begin(1, 'p1')
      .add({ kind: 'step', step: 'mirror', status: 'started' }, { kind: 'step', step: 'mirror', status: 'done' })
      .text('Hello')
      .end()
      .prompt('p2')
      .begin(2, 'p2')
      .text('Again');
    const { sections } = outlineOf(journal.entries);
    expect(sections.map((section) => [section.turn, drawn(section.items)])).toEqual([
      [1, 'message steps text ended'],
      [2, 'message text'],
    ]);
    expect(sections.map((section) => section.ended?.outcome)).toEqual(['completed', undefined]);
  });

  test('keeps a prompt that arrives during a turn where it arrived', () => {
    const journal = new Journal().prompt('p1').begin(1, 'p1').call('a').prompt('p2').result('a').text('Both').end();
    const { sections } = outlineOf(journal.entries);
    expect(sections.map((section) => drawn(section.items))).toEqual(['message [a] message text ended']);
  });

  test('moves a prompt that came while a turn was being saved to the turn that takes it up', () => {
    const journal = new Journal().prompt('p1').begin(1, 'p1').text('Done').prompt('p2');
    const before = outlineOf(journal.entries);
    expect(before.sections.map((section) => drawn(section.items))).toEqual(['message text message']);
    journal.end().begin(2, 'p2').text('Next');
    const { sections } = outlineOf(journal.entries, before);
    expect(sections.map((section) => drawn(section.items))).toEqual(['message text ended', 'message text']);
  });

  test('puts late news of an ended turn into that turn', () => {
    const journal = new Journal().prompt('p1').begin(1, 'p1').end();
    journal.add({ kind: 'effect-failed', effect: 'Comment', attempts: 3, error: 'no' }).prompt('p2');
    journal.add({ kind: 'notice', level: 'info', text: 'late' });
    const { sections } = outlineOf(journal.entries);
    expect(sections.map((section) => drawn(section.items))).toEqual(['message ended [failures line]', 'message']);
    expect(sections[0]?.effectFailed).toBe(true);
  });

  test('tells what was given up once a turn, however often it happens', () => {
    const failed = { kind: 'effect-failed', effect: 'Posting to Linear', attempts: 2, error: 'HTTP 401' } as const;
    const journal = new Journal().begin(1).add(failed).call('a').add(failed).result('a').text('Done').add(failed);
    const items = outlineOf(journal.entries).sections[0]?.items ?? [];
    expect(drawn(items)).toBe('[failures a] text');
    const row = items[0]?.type === 'work' ? items[0].rows[0] : undefined;
    expect(row?.type === 'failures' && failureText(row.entries)).toEqual({
      level: 'error',
      text: 'Failed 3 times, last after 2 tries: Posting to Linear. HTTP 401',
      more: Array.from({ length: 3 }, () => 'Posting to Linear: HTTP 401').join('\n'),
    });
  });

  test('joins each result to its call, also when calls run side by side', () => {
    const journal = new Journal().begin(1).call('a').call('b').result('b').call('c').result('a');
    expect(drawn(outlineOf(journal.entries).sections[0]?.items ?? [])).toBe('[a b c…]');
  });

  test('shows what a subagent did under the call that started it, subagents of subagents included', () => {
    const journal = new Journal().begin(1).call('agent', undefined, 'Agent').text('looking', 'agent');
    journal.call('inner', 'agent', 'Agent').call('deep', 'inner').result('deep', 'inner').result('inner', 'agent');
    journal.text('found', 'agent').text('meanwhile').result('agent');
    const [section] = outlineOf(journal.entries).sections;
    expect(drawn(section?.items ?? [])).toBe('[agent(text [inner([deep])] text)] text');
    expect(section?.calls).toBe(3);
  });

  test('shows a call that a stop cut off as stopped, and one that failed before as failed', () => {
    const fails = { kind: 'tool-result', text: 'Exit code 1', isError: true } as const;
    const journal = new Journal()
      .begin(1)
      .call('a')
      .add({ ...fails, toolUseId: 'a' })
      .call('b')
      .call('c');
    journal.add({ kind: 'stop-requested', author: 'Ada', source: 'page' }).result('b');
    journal.add({ ...fails, toolUseId: 'c' }).end('stopped');
    const [work] = outlineOf(journal.entries).sections[0]?.items ?? [];
    const stopped = work?.type === 'work' && work.rows.map((row) => row.type === 'tool' && row.stopped);
    expect(stopped).toEqual([false, false, true, false]);
  });

  test('shows a result whose call is not known, and a subagent whose call is not known', () => {
    const journal = new Journal().begin(1).result('lost').text('who am I', 'elsewhere');
    expect(drawn(outlineOf(journal.entries).sections[0]?.items ?? [])).toBe('[lost] text');
  });

  test('does not say the answer twice when the turn ends with it', () => {
    const ends = (text: string) => {
      const journal = new Journal().begin(1).text('All is well.\n').text('from a subagent', 'agent');
      return outlineOf(journal.end('completed', text).entries).sections[0]?.items.at(-1);
    };
    expect(ends('All is well.')).toMatchObject({ type: 'ended', repeats: true });
    expect(ends('Something else.')).toMatchObject({ type: 'ended', repeats: false });
  });

  test('gathers retries that follow each other, and hides the step that saved behind what was saved', () => {
    const retry = { kind: 'retry', maxAttempts: 10, delayMs: 500, httpStatus: 529, error: 'overloaded' } as const;
    const saved = { kind: 'saved', branch: 'b', head: 'h', commits: [], files: [], newCommits: 0 } as const;
    const journal = new Journal().begin(1).add({ ...retry, attempt: 1 }, { ...retry, attempt: 2 });
    journal.add({ kind: 'step', step: 'save', status: 'started' });
    journal.add({ kind: 'step', step: 'save', status: 'done', durationMs: 640 });
    journal.add({ ...saved, commits: [], files: [], pushed: true, patchBytes: null });
    const items = outlineOf(journal.entries).sections[0]?.items ?? [];
    expect(drawn(items)).toBe('[retries] saved');
    expect(items.at(-1)).toMatchObject({ durationMs: 640 });

    const late = new Journal().begin(1).add({ kind: 'step', step: 'save', status: 'started' });
    late.add({ ...saved, commits: [], files: [], pushed: true, patchBytes: null }).end();
    late.add({ kind: 'step', step: 'save', status: 'done', durationMs: 310 });
    const lateItems = outlineOf(late.entries).sections[0]?.items ?? [];
    expect(drawn(lateItems)).toBe('saved ended');
    expect(lateItems[0]).toMatchObject({ durationMs: 310 });
  });

  test('shows every entry of a kind it does not know better as a line of its own', () => {
    const journal = new Journal().begin(1).add({ kind: 'unknown', type: 'system/new', raw: '{"a":1}' });
    expect(drawn(outlineOf(journal.entries).sections[0]?.items ?? [])).toBe('[line]');
  });

  test('made piece by piece is the same as made at once, and keeps every object that did not change', () => {
    const journal = new Journal();
    for (let turn = 1; turn <= 5; turn += 1) {
      journal.prompt(`p${turn}`).begin(turn, `p${turn}`);
      for (let at = 0; at < 20; at += 1) {
        journal.call(`${turn}-${at}`, undefined, at % 5 === 0 ? 'Agent' : 'Bash');
        if (at % 5 === 0) journal.call(`${turn}-${at}s`, `${turn}-${at}`).result(`${turn}-${at}s`);
        if (at % 3 === 0) journal.text('words');
        journal.result(`${turn}-${at}`);
      }
      if (turn < 5) journal.end();
    }
    let outline = outlineOf([]);
    for (let count = 1; count <= journal.entries.length; count += 1) {
      const before = outline;
      outline = outlineOf(journal.entries.slice(0, count), before);
      expect(outline.sections.slice(0, -2)).toEqual(before.sections.slice(0, outline.sections.length - 2));
      for (const [index, section] of before.sections.slice(0, -1).entries()) {
        expect(outline.sections[index]).toBe(section);
      }
      const items = outline.sections.at(-1)?.items.slice(0, -2) ?? [];
      const known = before.sections[outline.sections.length - 1]?.items ?? [];
      for (const [index, item] of items.entries()) if (known[index]?.type === 'text') expect(item).toBe(known[index]);
    }
    expect(outline).toEqual(outlineOf(journal.entries));
  });

  test('of 10,000 entries takes little time, and of one more even less', () => {
    const journal = new Journal().begin(1);
    for (let at = 0; at < 5_000; at += 1) journal.call(`t${at}`).result(`t${at}`);
    const began = performance.now();
    const outline = outlineOf(journal.entries);
    const whole = performance.now() - began;
    journal.text('one more');
    outlineOf(journal.entries, outline);
    expect(whole).toBeLessThan(250);
    expect(performance.now() - began - whole).toBeLessThan(250);
  });

  test('of a part of the journal shows what is in it, and a result only once its call was read', () => {
    const journal = new Journal()
      .prompt('p1')
      .begin(1, 'p1')
      .call('a')
      .result('a')
      .call('b')
      .result('b')
      .text('Hm')
      .end();
    const part = outlineOf(journal.entries.slice(3));
    expect(part.sections.map((section) => drawn(section.items))).toEqual(['[b] text ended']);
    const whole = outlineOf(journal.entries, part);
    expect(whole.sections.map((section) => drawn(section.items))).toEqual(['message [a b] text ended']);
    expect(whole).toEqual(outlineOf(journal.entries));
  });

  test('keeps the later turns as they are when earlier ones are read', () => {
    const journal = new Journal()
      .prompt('p1')
      .begin(1, 'p1')
      .text('One')
      .end()
      .prompt('p2')
      .begin(2, 'p2')
      .text('Two')
      .end();
    const part = outlineOf(journal.entries.slice(4));
    const whole = outlineOf(journal.entries, part);
    expect(whole.sections[1]).toBe(part.sections[0]);
  });
});

describe('a tool call on one line', () => {
  const cwd = '/work/shop';

  test.each([
    ['Bash', { command: '\n npm test\nnpm run lint\n' }, 'Bash', 'npm test …'],
    ['Read', { file_path: '/work/shop/src/cart.ts', offset: 10, limit: 5 }, 'Read', 'src/cart.ts'],
    ['Edit', { file_path: '/work/shopping/a.ts' }, 'Edit', '/work/shopping/a.ts'],
    ['Write', { file_path: '/work/shop/a.ts' }, 'Write', 'a.ts'],
    ['Grep', { pattern: 'total\\(' }, 'Grep', 'total\\('],
    ['Agent', { description: 'Look around', prompt: '…' }, 'Subagent', 'Look around'],
    ['WebFetch', { url: 'https://example.com' }, 'Fetch', 'https://example.com'],
    ['mcp__linear__get_issue', { id: 'SHOP-1' }, 'linear · get_issue', 'SHOP-1'],
    [
      'AskUserQuestion',
      { questions: [{ question: 'Which colour?', options: [{ label: 'Red' }, { label: 'Blue' }] }] },
      'Question',
      'Which colour? Red · Blue',
    ],
    ['AskUserQuestion', { questions: 'hostile' }, 'Question', ''],
    ['Monitor', { every: 5 }, 'Monitor', '{"every":5}'],
    ['Bash', 'no object', 'Bash', ''],
    ['Read', null, 'Read', ''],
    ['Surprise', undefined, 'Surprise', ''],
    ['Read', { file_path: { hostile: true } }, 'Read', ''],
  ])('says what %s of %j does', (name, input, label, subject) => {
    expect(toolSummary(name, input, cwd)).toMatchObject({ label, subject });
  });

  test('says which lines of a file are read', () => {
    const note = (input: object) => toolSummary('Read', { file_path: 'a', ...input }, null).note;
    expect(note({ offset: 10, limit: 5 })).toBe('lines 10–14');
    expect(note({ offset: 10 })).toBe('from line 10');
    expect(note({ limit: 5 })).toBe('first 5 lines');
    expect(note({})).toBe('');
  });
});

describe('a diff', () => {
  const hunk = { oldStart: 3, oldLines: 3, newStart: 3, newLines: 4 };

  test('numbers old and new lines apart, and marks the part of a line that changed', () => {
    const lines = diffLines([{ ...hunk, lines: [' a', '-const total = 1;', '+const total = 25;', '+b', ' c'] }]);
    expect(lines.map((line) => (line.kind === 'gap' ? null : [line.kind, line.old, line.new]))).toEqual([
      ['same', 3, 3],
      ['removed', 4, null],
      ['added', null, 4],
      ['added', null, 5],
      ['same', 5, 6],
    ]);
    const pair = diffLines([{ ...hunk, lines: ['-const total = 1;', '+const total = 25;'] }]);
    expect(pair.map((line) => (line.kind === 'gap' ? null : line.mark))).toEqual([
      [14, 15],
      [14, 16],
    ]);
  });

  test('marks nothing in lines that have little in common', () => {
    const lines = diffLines([{ ...hunk, lines: ['-return a;', '+throw new Error("no");'] }]);
    expect(lines.every((line) => line.kind === 'gap' || line.mark === undefined)).toBe(true);
  });

  test('has a gap between hunks, and counts what was added and removed', () => {
    const hunks = [
      { ...hunk, lines: ['-a', '+b', '+c'] },
      { ...hunk, oldStart: 90, newStart: 91, lines: [' x', '-y', '\\ No newline at end of file'] },
    ];
    expect(diffLines(hunks).map((line) => line.kind)).toEqual([
      ...['removed', 'added', 'added'],
      ...['gap', 'same', 'removed', 'note'],
    ]);
    expect(diffCounts(hunks)).toEqual({ added: 2, removed: 2 });
  });

  test('of a new file is its content', () => {
    expect(creationHunks('a\nb\n')).toMatchObject([{ newStart: 1, newLines: 2, lines: ['+a', '+b'] }]);
    expect(creationHunks('')).toEqual([]);
  });
});

describe('entries in plain words', () => {
  test('a tool that asks to be let run is shown with the whole call, and nothing in it is invisible', () => {
    const asked = {
      ...({ seq: 1, at: 0, turn: 1, kind: 'question', requestId: 'r1', name: 'Bash', status: 'asked' } as const),
      input: { command: 'rm\u202e -r dist\nls', run_in_background: true },
      permission: { why: null },
    };
    expect(lineText(asked, 0)).toEqual({
      level: 'info',
      text: 'Claude asks to use Bash',
      more: 'rm\\u{202e} -r dist\nls\n\n{\n  "run_in_background": true\n}',
    });
  });

  const head = { seq: 1, at: 0, turn: 1 };

  test('say how full a limit is and when it resets', () => {
    const limit = { ...head, kind: 'rate-limit', limit: 'five_hour', resetsAt: null } as const;
    expect(lineText({ ...limit, status: 'allowed_warning', utilization: 0.91 }, 0)).toMatchObject({
      level: 'warning',
      text: '91 % of the five hour limit is used',
    });
    expect(lineText({ ...limit, status: 'rejected', utilization: null }, 0).level).toBe('error');
    const journal = new Journal()
      .begin(1)
      .add({ kind: 'rate-limit', status: 'allowed', limit: 'five_hour', resetsAt: null, utilization: 0.1 });
    // Usage within a limit is no news.
    expect(drawn(outlineOf(journal.entries).sections[0]?.items ?? [])).toBe('');
  });

  test('a question keeps what each of its options means', () => {
    const options = [{ label: 'Red', description: 'Like a warning' }, { label: 'Blue' }];
    const input = { questions: [{ question: 'Which colour?', options }] };
    expect(
      lineText({ ...head, kind: 'question', requestId: 'r1', name: 'AskUserQuestion', status: 'asked', input }, 0),
    ).toEqual({
      level: 'info',
      text: 'Claude asks: Which colour? Red · Blue',
      more: 'Which colour?\n- Red: Like a warning\n- Blue',
    });
  });

  test('show what is not known as formatted JSON, and broken JSON as it is', () => {
    const unknown = { ...head, kind: 'unknown', type: 'system/new' } as const;
    expect(lineText({ ...unknown, raw: '{"a":1}' }, 0).more).toBe('{\n  "a": 1\n}');
    expect(lineText({ ...unknown, raw: '{"a":' }, 0).more).toBe('{"a":');
  });

  test('of retries tell the last one', () => {
    const retry = { ...head, kind: 'retry', maxAttempts: 10, delayMs: 1040, error: 'overloaded' } as const;
    const words = retryText([
      { ...retry, attempt: 1, httpStatus: 529 },
      { ...retry, seq: 2, attempt: 2, httpStatus: 529 },
    ]);
    expect(words.text).toBe("Claude's API answered 529 (overloaded): try 2 of 10 after 1.0 s");
  });
});

describe('preparations', () => {
  test('are one line a step, with how long it took', () => {
    const journal = new Journal()
      .begin(1)
      .add(
        { kind: 'step', step: 'mirror', status: 'started' },
        { kind: 'step', step: 'mirror', status: 'done', durationMs: 1200, detail: '20 commits fetched' },
        { kind: 'output', source: 'setup', text: 'hi' },
        { kind: 'step', step: 'setup', status: 'started' },
      );
    const [steps] = outlineOf(journal.entries).sections[0]?.items ?? [];
    expect(steps?.type === 'steps' && stepsOf(steps.entries)).toMatchObject([
      { step: 'mirror', done: true, durationMs: 1200, detail: '20 commits fetched' },
      { step: 'setup', done: false, startedAt: 5000 },
    ]);
  });
});

test.each([
  ['that says so', { failed: true } as const],
  ['of a sandbox server that marked nothing', {}],
])('a setup script that failed is not shown as one that ran: a step %s', (_, mark) => {
  const journal = new Journal()
    .begin(1)
    .add(
      { kind: 'step', step: 'setup', status: 'started' },
      { kind: 'step', step: 'setup', status: 'done', detail: 'cyrus-setup.sh failed with exit code 3', ...mark },
      { kind: 'step', step: 'claude', status: 'started' },
      { kind: 'step', step: 'claude', status: 'done', detail: 'failed with exit code 3 is what a test prints' },
    );
  const [steps] = outlineOf(journal.entries).sections[0]?.items ?? [];
  expect(steps?.type === 'steps' && stepsOf(steps.entries)).toMatchObject([
    { step: 'setup', done: true, failed: true },
    { step: 'claude', done: true, failed: false },
  ]);
});

test('a pull request is an item of its own, between what was saved and the end', () => {
  const journal = new Journal().prompt('p1').begin(1, 'p1').text('Done.');
  const url = 'https://github.com/acme/shop/pull/12';
  journal.add({ kind: 'pull-request', state: 'opened', number: 12, url, draft: false }).end();
  const [section] = outlineOf(journal.entries).sections;
  expect(drawn(section?.items ?? [])).toBe('message text proposed ended');
});
