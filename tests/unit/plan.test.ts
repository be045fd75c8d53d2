import { expect, it } from 'vitest';
import { initialPlan, readPlan } from '../../src/claude/plan.ts';
import type { JournalBody } from '../../src/protocol/journal.ts';

let calls = 0;

/** A task tool called, with what it said. */
function used(name: string, input: object, text: string, isError = false): JournalBody[] {
  const toolUseId = `toolu_${++calls}`;
  return [
    { kind: 'tool-call', toolUseId, name, input },
    { kind: 'tool-result', toolUseId, text, isError },
  ];
}

function plan(...entries: JournalBody[][]) {
  return entries
    .flat()
    .reduce(readPlan, initialPlan)
    .items.map(({ content, status }) => `${content}: ${status}`);
}

const first = used('TaskCreate', { subject: 'Read the code' }, 'Task #1 created successfully: Read the code');
const second = used('TaskCreate', { subject: 'Mend it' }, 'Task #2 created successfully: Mend it');

it("follows Claude's tasks as they are created, begun, renamed, finished and given up", () => {
  const begun = used('TaskUpdate', { taskId: '1', status: 'in_progress' }, 'Updated task #1 status');
  expect(plan(first, second, begun)).toEqual(['Read the code: inProgress', 'Mend it: pending']);
  const done = used('TaskUpdate', { taskId: 1, status: 'completed', subject: 'Read it' }, 'Updated task #1');
  const dropped = used('TaskUpdate', { taskId: '2', status: 'deleted' }, 'Updated task #2');
  expect(plan(first, second, begun, done, dropped)).toEqual(['Read it: completed', 'Mend it: canceled']);
});

it('counts a change only once its tool has succeeded', () => {
  const failed = used('TaskUpdate', { taskId: '1', status: 'completed' }, 'No such task', true);
  const [call] = used('TaskUpdate', { taskId: '1', status: 'completed' }, '');
  expect(plan(first, failed, call ? [call] : [])).toEqual(['Read the code: pending']);
});

it('is not disturbed by other tools, subagents or nonsense', () => {
  const other = used('Bash', { command: 'ls' }, '#1');
  const strange = used('TaskUpdate', { taskId: {}, status: 7 }, 'ok');
  const nested = used('TaskCreate', { subject: 'Of a subagent' }, '#3').map((entry) => ({
    ...entry,
    parentToolUseId: 't',
  }));
  expect(plan(first, other, strange, nested)).toEqual(['Read the code: pending']);
});
