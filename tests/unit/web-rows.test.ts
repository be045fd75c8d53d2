import { describe, expect, test } from 'vitest';
import { decodeEntry } from '../../src/web/live/decode.ts';
import { groupWords } from '../../src/web/outline/group-words.ts';
import { outlineOf } from '../../src/web/outline/outline.ts';
import { foldsAround, rowIndexOf, sameCalls, type TimelineRow, timelineRows } from '../../src/web/outline/rows.ts';
import { nextMatch } from '../../src/web/view/find/use-find.ts';
import { linkText } from '../../src/web/view/header/link-status.tsx';
import { linkedEntry, linkedSecret } from '../../src/web/view/timeline/deep-link.ts';
import { Journal } from './support/web-journal.ts';

/** The rows in a notation for eyes. */
function drawn(rows: readonly TimelineRow[]): string {
  return rows
    .map((row) => {
      switch (row.type) {
        case 'turn':
          return `T${row.section.turn}${row.isOpen ? '' : '-'}`;
        case 'item':
          return row.item.type;
        case 'work':
          return row.row.type === 'tool' ? row.row.id : row.row.type;
        case 'group':
          return `group${row.isOpen ? '' : '-'}`;
        default:
          return row.type;
      }
    })
    .join(' ');
}
const rowsOf = (journal: Journal, chosen: Record<string, boolean> = {}) =>
  timelineRows(outlineOf(journal.entries), (fold) => chosen[fold]);

describe('the rows of the timeline', () => {
  test('show the last turn, the last answer while the next is worked on, and of earlier turns the answer', () => {
    const journal = new Journal().prompt('p1').begin(1, 'p1').text('Work').end('completed', 'One.');
    expect(drawn(rowsOf(journal))).toBe('T1 message text ended');
    journal.prompt('p2').begin(2, 'p2');
    expect(drawn(rowsOf(journal))).toBe('T1 message text ended T2 message');
    journal.end('completed', 'Two.');
    expect(drawn(rowsOf(journal))).toBe('T1- answer T2 message ended');
    expect(drawn(rowsOf(journal, { 'turn 1': true }))).toBe('T1 message text ended T2 message ended');
  });

  test('a request whose turn has not begun has a heading of its own, without a number', () => {
    const journal = new Journal().prompt('p1').begin(1, 'p1').end('completed', 'One.').prompt('p2');
    const rows = rowsOf(journal);
    expect(drawn(rows)).toBe('T1 message ended T0 message');
    expect(new Set(rows.map(({ key }) => key)).size).toBe(rows.length);
    journal.begin(2, 'p2');
    expect(drawn(rowsOf(journal))).toBe('T1 message ended T2 message');
  });

  test('group calls that follow each other, with the group open that Claude is at', () => {
    const journal = new Journal().prompt('p1').begin(1, 'p1');
    for (const id of ['a', 'b', 'c', 'd']) journal.call(id).result(id);
    expect(drawn(rowsOf(journal))).toBe('T1 message group a b c d');
    journal.text('Now I know.');
    expect(drawn(rowsOf(journal))).toBe('T1 message group- text');
    journal.call('e').result('e');
    expect(drawn(rowsOf(journal))).toBe('T1 message group- text e');
  });

  test('never hide in a group what people have to see', () => {
    const journal = new Journal().prompt('p1').begin(1, 'p1').call('a').call('b').call('c').call('d');
    journal.add({ kind: 'notice', level: 'warning', text: 'The disk is full' }).text('Hm');
    expect(drawn(rowsOf(journal))).toBe('T1 message group- line text');
  });

  test('a group stays as a person left it when earlier calls are read into it', () => {
    const journal = new Journal().prompt('p1').begin(1, 'p1');
    for (const id of ['a', 'b', 'c', 'd', 'e', 'f']) journal.call(id);
    journal.text('Done').end();
    const part = timelineRows(outlineOf(journal.entries.slice(4)), () => undefined);
    const group = part.find((row) => row.type === 'group');
    expect(group?.isOpen).toBe(false);
    expect(drawn(rowsOf(journal, { [group?.key ?? '']: true }))).toBe('T1 message group a b c d e f text ended');
  });

  test('an entry is found where it is drawn: a result with its call, what a subagent does under its own', () => {
    const journal = new Journal()
      .prompt('p1')
      .begin(1, 'p1')
      .call('s', undefined, 'Task')
      .call('x', 's')
      .result('x', 's');
    for (const id of ['a', 'b', 'c']) journal.call(id).result(id);
    journal.text('Done').end();
    const outline = outlineOf(journal.entries);
    const [nested] = journal.entries.filter(({ kind }) => kind === 'tool-result');
    const folds = foldsAround(outline, nested?.seq ?? 0);
    expect(folds).toEqual(['turn 1', 'group 3']);
    const rows = timelineRows(outline, (fold) => folds.includes(fold) || undefined);
    const row = rows[rowIndexOf(rows, nested?.seq ?? 0)];
    expect(row?.type === 'work' && row.row.key).toBe(3);
  });
});

test('a group is drawn again when any of its calls gets its result, in whatever order they come', () => {
  const journal = new Journal().prompt('p1').begin(1, 'p1').call('a').call('b').call('c').call('d');
  journal.result('a').result('d');
  const before = outlineOf(journal.entries);
  const after = outlineOf(journal.result('b').entries, before);
  const callsOf = (outline: typeof before) => {
    const group = timelineRows(outline, () => undefined).find((row) => row.type === 'group');
    return group?.type === 'group' ? group.rows : [];
  };
  expect(callsOf(before)).toHaveLength(4);
  expect(sameCalls(callsOf(before), callsOf(after))).toBe(false);
  expect(sameCalls(callsOf(after), callsOf(outlineOf(journal.entries, after)))).toBe(true);
});

test('a group says in a sentence what its calls do', () => {
  const journal = new Journal().begin(1);
  const edit = {
    path: 'a.ts',
    created: false,
    hunks: [{ oldStart: 1, oldLines: 1, newStart: 1, newLines: 2, lines: ['-a', '+b', '+c'] }],
  };
  journal
    .call('1', undefined, 'Read')
    .call('2', undefined, 'Read')
    .call('3')
    .call('4', undefined, 'Edit')
    .call('5', undefined, 'Edit');
  journal.call('6', undefined, 'mcp__x__y');
  for (const toolUseId of ['4', '5']) journal.add({ kind: 'tool-result', toolUseId, text: '', isError: false, edit });
  journal.add({ kind: 'tool-result', toolUseId: '3', text: 'no', isError: true });
  const item = outlineOf(journal.entries).sections[0]?.items[0];
  expect(item?.type === 'work' && groupWords(item.rows)).toEqual({
    text: 'Read 2 files, ran 1 command, changed 1 file, made 1 other call',
    failed: 1,
    added: 4,
    removed: 2,
  });
});

test('a name of a file that turns the direction of text shows how', () => {
  const saved = {
    seq: 1,
    at: 1,
    turn: 1,
    kind: 'saved',
    branch: 'b',
    head: 'h',
    commits: [],
    newCommits: 1,
    pushed: true,
    patchBytes: null,
  };
  const files = [{ path: 'src/invoice\u202efdp.exe', additions: 1, deletions: 0 }];
  const entry = decodeEntry({ ...saved, files });
  expect(entry?.kind === 'saved' && entry.files[0]?.path).toBe('src/invoice\\u{202e}fdp.exe');
  const edit = { path: 'a\u2066b.ts', created: false, hunks: [] };
  const result = decodeEntry({
    seq: 2,
    at: 1,
    turn: 1,
    kind: 'tool-result',
    toolUseId: 't',
    text: '',
    isError: false,
    edit,
  });
  expect(result?.kind === 'tool-result' && result.edit?.path).toBe('a\\u{2066}b.ts');
});

test('a server that does not answer is said not to, and for how long', () => {
  const words = (at: 'connecting' | 'waiting', failures: number, ago: number) =>
    linkText({ at, failures, problem: 'the server did not answer', since: 100_000 - ago }, 100_000).word;
  expect(words('connecting', 0, 500)).toBe('Connecting');
  expect(words('waiting', 1, 1_000)).toBe('Reconnecting');
  expect(words('connecting', 0, 4_000)).toBe('No answer for 0:04');
  expect(words('connecting', 3, 65_000)).toBe('No answer for 1:05');
  expect(words('waiting', 3, 65_000)).toBe('No answer for 1:05');
});

test('who is not signed in any more is told so, and what to do', () => {
  expect(linkText({ at: 'signed-out' }, 0).word).toBe('You are no longer signed in. Reload the page.');
});

test('the address of an entry names it, and no other address does', () => {
  expect(linkedEntry('#e1234')).toBe(1234);
  for (const hash of ['', '#e', '#e0', '#e-1', '#e1x', '#1234', `#e${'9'.repeat(20)}`])
    expect(linkedEntry(hash)).toBeNull();
});

test('the address of a shared session has its secret, with or without an entry', () => {
  const secret = `${'a-_0'.repeat(10)}abc`;
  expect([`#${secret}`, `#${secret}.e12`, '#e12', `#${secret}x`].map(linkedSecret)).toEqual([
    secret,
    secret,
    null,
    null,
  ]);
  expect(linkedEntry(`#${secret}.e12`)).toBe(12);
});

test('Enter goes from match to match and around, Shift Enter the other way, beginning with the last', () => {
  expect([-1, 0, 1, 2].map((current) => nextMatch(current, 3, false))).toEqual([0, 1, 2, 0]);
  expect([-1, 0, 1, 2].map((current) => nextMatch(current, 3, true))).toEqual([2, 2, 0, 1]);
  expect(nextMatch(0, 1, true)).toBe(0);
});
