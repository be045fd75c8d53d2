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

it("the plan that people see follows Claude's tasks as they are created, begun, renamed, finished and given up", () => {
  const begun = used('TaskUpdate', { taskId: '1', status: 'in_progress' }, 'Updated task #1 status');
  expect(plan(first, second, begun)).toEqual(['Read the code: inProgress', 'Mend it: pending']);
  const done = used('TaskUpdate', { taskId: 1, status: 'completed', subject: 'Read it' }, 'Updated task #1');
  const dropped = used('TaskUpdate', { taskId: '2', status: 'deleted' }, 'Updated task #2');
  expect(plan(first, second, begun, done, dropped)).toEqual(['Read it: completed', 'Mend it: canceled']);
});

it('the plan counts a change only once its tool has succeeded', () => {
  const failed = used('TaskUpdate', { taskId: '1', status: 'completed' }, 'No such task', true);
  const [call] = used('TaskUpdate', { taskId: '1', status: 'completed' }, '');
  expect(plan(first, failed, call ? [call] : [])).toEqual(['Read the code: pending']);
});

it('the plan is not disturbed by other tools, subagents or nonsense', () => {
  const other = used('Bash', { command: 'ls' }, '#1');
  const strange = used('TaskUpdate', { taskId: {}, status: 7 }, 'ok');
  const nested = used('TaskCreate', { subject: 'Of a subagent' }, '#3').map((entry) => ({
    ...entry,
    parentToolUseId: 't',
  }));
  expect(plan(first, other, strange, nested)).toEqual(['Read the code: pending']);
});

const said = (text: string): JournalBody[] => [{ kind: 'text', text }];

it('the plan is what Claude states as a checklist, and as it ticks it off', () => {
  const stated = said('I do it like this:\n\n- [ ] Read `src/cart.js`\n- [ ] **Mend** it\n- [ ] Test');
  expect(plan(stated)).toEqual(['Read src/cart.js: pending', 'Mend it: pending', 'Test: pending']);
  const ticked = said('- [x] Read `src/cart.js`\n- [X] **Mend** it\n- [ ] Test');
  expect(plan(stated, ticked)).toEqual(['Read src/cart.js: completed', 'Mend it: completed', 'Test: pending']);
});

it.each(['## Plan', 'Plan:', 'My plan:', "Here's the plan:", '**Plan**', '### Plan for the cart'])(
  'the plan is what Claude lists under the word "%s"',
  (heading) => {
    const text = `Let me see.\n\n${heading}\n\n1. Read the code\n   with care\n2. Mend it\n\nThen I begin.\n\n1. No step`;
    expect(plan(said(text))).toEqual(['Read the code: pending', 'Mend it: pending']);
  },
);

it('a plan is not every list, nor a sentence that speaks of plans', () => {
  expect(plan(said('Files:\n\n1. a.js\n2. b.js'))).toEqual([]);
  expect(plan(said('I plan to mend it. It fails because:\n- one\n- two'))).toEqual([]);
  expect(plan(said('Plan:\n\n1. Only one step'))).toEqual([]);
});

it('the plan follows the tasks, once there are any, and no longer what is said', () => {
  const stated = said('Plan:\n1. Read\n2. Mend');
  expect(plan(stated, first)).toEqual(['Read the code: pending']);
  expect(plan(first, stated)).toEqual(['Read the code: pending']);
});
