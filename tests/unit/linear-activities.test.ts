import { describe, expect, it } from 'vitest';
import { describeResult } from '../../src/claude/words.ts';
import type { JournalBody } from '../../src/protocol/journal.ts';
import type { Message } from '../../src/session/lifecycle/model/messages.ts';
import { initialNarration } from '../../src/session/lifecycle/model/narration.ts';
import { narrate } from '../../src/session/lifecycle/narration/narrate.ts';
import { MAX_BODY } from '../../src/session/lifecycle/narration/safe-text.ts';
import { fixtureLines, run } from './claude-fixtures.ts';

/** Tells entries one after the other. The state goes through JSON after each, as it does when it is stored. */
function tell(...entries: JournalBody[]): Message[] {
  let state = initialNarration;
  return entries.flatMap((entry) => {
    const told = narrate(state, entry);
    state = JSON.parse(JSON.stringify(told.state));
    return told.activities;
  });
}

/** A captured stream with the ends of turns that the lifecycle would write. */
function tellStream(name: string): Message[] {
  const entries = run(fixtureLines(name)).entries.flatMap(({ body }): JournalBody[] =>
    body.kind === 'result' ? [body, ended(describeResult(body))] : [body],
  );
  return tell(...entries);
}

const started: JournalBody = {
  kind: 'claude-started',
  model: 'm',
  version: '1',
  cwd: '/work/tree',
  tools: [],
  mcpServers: [],
};
const text = (words: string, rest: object = {}): JournalBody => ({ kind: 'text', text: words, ...rest });
const call = (name: string, input: unknown, rest: object = {}): JournalBody => ({
  kind: 'tool-call',
  toolUseId: 't1',
  name,
  input,
  ...rest,
});
const result = (words: string, rest: object = {}): JournalBody => ({
  kind: 'tool-result',
  toolUseId: 't1',
  text: words,
  isError: false,
  ...rest,
});
const ended = (end: { outcome: 'completed' | 'stopped' | 'failed'; text: string; reason?: string }): JournalBody => ({
  kind: 'turn-ended',
  reason: 'completed',
  durationMs: 1,
  usage: null,
  costUsd: null,
  numTurns: null,
  ...end,
});
const saved = (rest: object = {}): JournalBody => ({
  kind: 'saved',
  branch: 'cyrus/eng-1',
  head: 'abc',
  commits: [
    { sha: 'b', subject: 'two' },
    { sha: 'a', subject: 'one' },
  ],
  files: [],
  newCommits: 2,
  pushed: true,
  patchBytes: 1,
  ...rest,
});
const short = (activities: Message[]) =>
  activities.map(
    ({ content, ephemeral }) =>
      `${content.type}${ephemeral ? '*' : ''}: ${content.type === 'action' ? `${content.action} ${content.parameter}` : content.body}`,
  );

describe('a turn in Linear', () => {
  it('is its thoughts, its actions at their start and with their result, and one response', () => {
    expect(short(tellStream('01-oneshot-partial-messages.jsonl'))).toEqual([
      'thought: Writing the file now.',
      'action*: Writing b.txt',
      'action: Created b.txt',
      'action*: Running git add -A && git commit -qm "add b"; false',
      'action: Ran git add -A && git commit -qm "add b"; false',
      'action*: TodoWrite `todos: 1 of them`',
      'action: Called a tool that does not exist `TodoWrite`',
      'response: All done.',
    ]);
  });

  it('tells a subagent by the call that started it alone', () => {
    const activities = tellStream('18-subagent.jsonl');
    expect(short(activities)).toEqual([
      'thought: delegating',
      'action*: Delegating look around',
      'action: Delegated look around',
      'response: end',
    ]);
    expect(activities[2]?.content).toMatchObject({ result: '```\nsub result\n```' });
  });

  it('that is stopped ends in a response, never in an error', () => {
    const activities = short(tellStream('03-interrupt-control-request.jsonl'));
    expect(activities.filter((activity) => activity.startsWith('error'))).toEqual([]);
    expect(activities.filter((activity) => activity.startsWith('response: Stopped'))).toHaveLength(2);
  });

  it('that fails ends in one error, and its cause is not told twice', () => {
    expect(short(tellStream('err-400-credit.jsonl'))).toEqual([expect.stringMatching(/^error: The credit balance/)]);
  });

  it('ends in exactly one response or error, whatever happened before', () => {
    const ends = ['completed', 'stopped', 'failed'] as const;
    for (const outcome of ends) {
      const activities = tell(
        started,
        text('Hm.'),
        { kind: 'notice', level: 'error', text: 'Oh.' },
        ended({ outcome, text: '' }),
      );
      const closing = activities.filter(({ content }) => content.type === 'response' || content.type === 'error');
      expect(closing).toEqual([activities.at(-1)]);
      expect(activities.at(-1)?.ephemeral).toBe(false);
    }
  });
});

describe('Claude’s last text', () => {
  it('is the response, not a thought before it', () => {
    expect(short(tell(text('Done it.'), ended({ outcome: 'completed', text: 'Done it.' })))).toEqual([
      'response: Done it.',
    ]);
  });

  it('is a thought if the turn ends in other words', () => {
    expect(short(tell(text('Half way.'), ended({ outcome: 'stopped', text: 'Stopped by Ada.' })))).toEqual([
      'thought: Half way.',
      'response: Stopped by Ada.',
    ]);
  });

  it('is the response also if it is very long', () => {
    const long = 'word '.repeat(MAX_BODY);
    const activities = tell(text(long), ended({ outcome: 'completed', text: long.trim() }));
    expect(activities.map(({ content }) => content.type)).toEqual(['response']);
  });

  it('is told once, also if a warning comes between it and the end', () => {
    const warning: JournalBody = { kind: 'notice', level: 'warning', text: 'The sandbox does not answer.' };
    expect(short(tell(text('All done.'), warning, ended({ outcome: 'completed', text: 'All done.' })))).toEqual([
      'thought: The sandbox does not answer.',
      'response: All done.',
    ]);
  });

  it('waits through what is not told, such as a retry or a task', () => {
    const retry: JournalBody = {
      kind: 'retry',
      attempt: 1,
      maxAttempts: 9,
      delayMs: 500,
      httpStatus: 529,
      error: 'overloaded',
    };
    expect(short(tell(text('Answer.'), retry, saved(), ended({ outcome: 'completed', text: 'Answer.' })))).toHaveLength(
      1,
    );
  });
});

describe('the end of a turn says where the work is', () => {
  const last = (...entries: JournalBody[]) => short(tell(...entries)).at(-1);

  it('and names branch and commits', () => {
    expect(last(saved(), ended({ outcome: 'completed', text: 'Fixed.' }))).toBe(
      'response: Fixed.\n\nBranch `cyrus/eng-1`, 2 commits.',
    );
    expect(last(saved({ newCommits: 1 }), ended({ outcome: 'completed', text: 'Fixed.' }))).toContain(
      '2 commits, 1 of them new.',
    );
  });

  it('also if the turn was stopped or failed', () => {
    expect(last(saved(), ended({ outcome: 'stopped', text: 'Half done.' }))).toBe(
      'response: Stopped. Half done.\n\nBranch `cyrus/eng-1`, 2 commits.',
    );
    expect(last(saved({ commits: [] }), ended({ outcome: 'failed', text: 'It broke.' }))).toBe(
      'error: It broke.\n\nThe branch has no commits yet.',
    );
  });

  it('and what went wrong when it was saved', () => {
    expect(
      last(
        saved({ pushed: false, problem: 'The git host refused the push.' }),
        ended({ outcome: 'completed', text: 'Fixed.' }),
      ),
    ).toContain('2 commits (not pushed). The git host refused the push.');
  });

  it('and that nothing was changed if there was only a question to answer', () => {
    expect(last(saved({ commits: [], newCommits: 0 }), ended({ outcome: 'completed', text: 'It is 4.' }))).toBe(
      'response: It is 4.\n\nNothing was changed.',
    );
  });
});

describe('an action', () => {
  const action = (...entries: JournalBody[]) => tell(started, ...entries).at(-1)?.content;

  it.each([
    ['Bash', { command: 'npm  test\n-- all' }, 'Running', 'npm test -- all'],
    ['Read', { file_path: '/work/tree/src/a.ts' }, 'Reading', 'src/a.ts'],
    ['Read', { file_path: '/work/treehouse/a.ts' }, 'Reading', '/work/treehouse/a.ts'],
    ['Grep', { pattern: 'TODO' }, 'Searching', 'TODO'],
    ['Task', { description: 'look around', prompt: '…' }, 'Delegating', 'look around'],
    ['mcp__tracker__create_issue', { title: 'x' }, 'create_issue (tracker)', '`{"title":"x"}`'],
    ['Levitate', {}, 'Levitate', '(no input)'],
    ['Bash', null, 'Running', '(no input)'],
  ])('says in words what %s does while it has no result', (name, input, words, parameter) => {
    expect(action(call(name, input))).toEqual({ type: 'action', action: words, parameter });
  });

  it('is not told as done while its command may still wait for permission', () => {
    const waiting = tell(started, call('Bash', { command: 'rm -r dist' }));
    expect(waiting.map(({ content, ephemeral }) => [content, ephemeral])).toEqual([
      [{ type: 'action', action: 'Running', parameter: 'rm -r dist' }, true],
    ]);
    expect(action(call('Bash', { command: 'rm -r dist' }), result(''))).toEqual({
      type: 'action',
      action: 'Ran',
      parameter: 'rm -r dist',
    });
  });

  it('shows an edit as a diff', () => {
    const hunks = [{ oldStart: 1, oldLines: 1, newStart: 1, newLines: 1, lines: ['-a', '+b'] }];
    expect(
      action(
        call('Edit', { file_path: '/work/tree/a.ts' }),
        result('ok', { edit: { path: '/work/tree/a.ts', created: false, hunks } }),
      ),
    ).toEqual({
      type: 'action',
      action: 'Edited',
      parameter: 'a.ts',
      result: '```diff\n@@ -1,1 +1,1 @@\n-a\n+b\n```',
    });
  });

  it('keeps the end of a long output, in a fence the output cannot close', () => {
    const output = `${'```\n'.repeat(10)}${'noise\n'.repeat(5_000)}1 test failed`;
    const content = action(call('Bash', { command: 'npm test' }), result(output));
    const shown = content?.type === 'action' ? (content.result ?? '') : '';
    expect(shown.length).toBeLessThan(2_200);
    expect(shown).toMatch(/^````\n[\s\S]*characters omitted[\s\S]*1 test failed\n````$/);
  });

  it('shows no colours of a terminal', () => {
    expect(
      action(call('Bash', { command: 'x' }), result('\u001b[31mred\u001b[0m\r\n\u001b]0;title\u0007done')),
    ).toMatchObject({
      result: '```\nred\ndone\n```',
    });
  });

  it('an action whose tool call failed says so before its output', () => {
    expect(action(call('Bash', { command: 'x' }), result('Exit code 1', { isError: true }))).toMatchObject({
      result: 'Failed:\n\n```\nExit code 1\n```',
    });
  });

  it('does not read a file aloud', () => {
    expect(action(call('Read', { file_path: 'a' }), result('1\tsecret'))).not.toHaveProperty('result');
  });
});

describe('what is written to Linear', () => {
  it('never mentions the agent or a person’s profile', () => {
    const said = 'Ask @Cyrus or https://linear.app/acme/profiles/ada';
    const activities = tell(
      text(said),
      call('Bash', { command: said }),
      result(said),
      ended({ outcome: 'completed', text: said }),
    );
    expect(JSON.stringify(activities)).not.toMatch(/@cyrus|acme\/profiles/i);
    expect(activities).toHaveLength(4);
  });

  it('is cut to a safe size with a note, and a code block that is cut is closed', () => {
    const [activity] = tell(ended({ outcome: 'completed', text: `\`\`\`\n${'x\n'.repeat(MAX_BODY)}` }));
    const body = activity?.content.type === 'response' ? activity.content.body : '';
    expect(body.length).toBeLessThanOrEqual(MAX_BODY);
    expect(body).toMatch(/\n```\n\n_Cut here; the live page has the rest\._$/);
  });

  it('holds no empty thought', () => {
    expect(tell(text(' \n'), call('Bash', { command: 'x' })).map(({ content }) => content.type)).toEqual(['action']);
  });

  it('leaves out steps, thinking and information', () => {
    expect(
      tell(
        { kind: 'step', step: 'mirror', status: 'done' },
        { kind: 'thinking', text: 'hm' },
        { kind: 'notice', level: 'info', text: 'fyi' },
        { kind: 'unknown', type: 'x', raw: '{}' },
      ),
    ).toEqual([]);
  });

  it('tells of warnings, and in passing of waiting', () => {
    const limit: JournalBody = {
      kind: 'rate-limit',
      status: 'rejected',
      limit: 'five_hour',
      resetsAt: Date.UTC(2026, 0, 1, 13, 5),
      utilization: 1,
    };
    expect(short(tell({ kind: 'notice', level: 'warning', text: 'Disk is nearly full.' }, limit))).toEqual([
      'thought: Disk is nearly full.',
      'thought*: A limit of the Claude account is reached until 13:05 UTC.',
    ]);
  });
});
