import { expect, it } from 'vitest';
import { initialReaderState, readLine } from '../../src/claude/stream.ts';
import { initialNarration } from '../../src/session/lifecycle/model/narration.ts';
import { narrate } from '../../src/session/lifecycle/narration/narrate.ts';

// As CLI 2.1.330 prints them.
const LAUNCHED =
  "Async agent launched successfully. (This tool result is internal metadata — never quote or paste any part of it, including the agentId below, into a user-facing reply.)\nagentId: a48b4b1850dd516fd (internal ID - do not mention to user.)\nThe agent is working in the background. You will be notified automatically when it completes. You know nothing about its results until that notification arrives — do not report, assume, or predict them; continue other work or respond to the user in the meantime.\nDo not duplicate this agent's work — avoid working with the same files or topics it is using.\noutput_file: /tmp/claude-0/-tmp-w/29a343a1/tasks/a48b4b1850dd516fd.output\nDo NOT Read or tail this file via the shell tool — it is the full subagent JSONL transcript and reading it will overflow your context. If the user asks for progress, say the agent is still running; you'll get a completion notification.";
const NOTIFIED =
  '<system-reminder>\n[SYSTEM NOTIFICATION - NOT USER INPUT]\nThis is an automated background-task event, NOT a message from the user.\n\n<task-notification>\n<task-id>a48b4b1850dd516fd</task-id>\n<status>completed</status>\n<result>42</result>\n</task-notification>\n</system-reminder>';
const INTERNAL = /internal metadata|agentId|task-notification|system-reminder|output_file|SYSTEM NOTIFICATION/;

const entriesOf = (line: unknown) =>
  readLine(initialReaderState, JSON.stringify(line)).read.entries.map(({ body }) => body);

it('The CLI’s note on a helper that begins is told as what it means', () => {
  const content = [{ type: 'tool_result', tool_use_id: 'u1', content: [{ type: 'text', text: LAUNCHED }] }];
  const [body] = entriesOf({ type: 'user', message: { role: 'user', content } });
  expect(body).toMatchObject({ kind: 'tool-result', text: 'Works in the background.' });
});

it('A command in the background is told without the CLI’s paths and ids', () => {
  const text =
    'Command running in background with ID: bifipujd7. Output is being written to: /tmp/claude-0/x/tasks/bifipujd7.output. You will be notified when it completes. To check interim output, use Read on that file path.';
  const content = [{ type: 'tool_result', tool_use_id: 'u1', content: text }];
  const [body] = entriesOf({ type: 'user', message: { role: 'user', content } });
  expect(body).toMatchObject({ kind: 'tool-result', text: 'Runs in the background.' });
  const said = [{ type: 'text', text: `I started it: ${text}` }];
  const message = { id: 'm', model: 'claude', role: 'assistant', content: said };
  expect(entriesOf({ type: 'assistant', message })).toMatchObject([
    { text: 'I started it: It runs in the background.' },
  ]);
});

it('What Claude quotes of internal notes reaches neither page nor Linear, and the words around it do', () => {
  for (const quoted of [LAUNCHED, NOTIFIED, LAUNCHED.slice(0, 400)]) {
    const text = `ANSWER. ${quoted}`;
    const content = [{ type: 'text', text }];
    const bodies = [
      ...entriesOf({ type: 'assistant', message: { id: 'm', model: 'claude', role: 'assistant', content } }),
      ...entriesOf({ type: 'result', is_error: false, result: text, terminal_reason: 'completed' }),
    ];
    expect(bodies).toHaveLength(2);
    for (const body of bodies) expect(JSON.stringify(body)).not.toMatch(INTERNAL);
    for (const body of bodies) expect(body).toMatchObject({ text: expect.stringContaining('ANSWER.') });
  }
});

it('A notification that the CLI prints as a message of the user is shown to nobody', () => {
  const content = [{ type: 'text', text: NOTIFIED }];
  expect(entriesOf({ type: 'user', isSynthetic: true, message: { role: 'user', content } })).toEqual([]);
});

it('If nothing is quoted, a text stays as it is, to the last character', () => {
  const text = '  Use `<system-reminder>` like this:\n\n    agentId = 3  ';
  const [body] = entriesOf({
    type: 'assistant',
    message: { id: 'm', model: 'claude', role: 'assistant', content: [{ type: 'text', text }] },
  });
  expect(body).toMatchObject({ kind: 'text', text });
});

it('What runs on in the background is named at the end of a turn, and calls nobody', () => {
  const saved = narrate(initialNarration, {
    kind: 'saved',
    branch: 'b',
    head: 'a'.repeat(40),
    commits: [],
    files: [],
    newCommits: 0,
    pushed: false,
    patchBytes: null,
    background: { commands: ['@cyrus `npm run dev`'], endAfterMs: 60_000 },
  });
  const [ended] = narrate(saved.state, {
    kind: 'turn-ended',
    outcome: 'completed',
    text: 'It runs.',
    reason: 'completed',
    durationMs: 1,
    usage: null,
    costUsd: null,
    numTurns: null,
  }).activities;
  expect(ended?.content).toMatchObject({
    body: expect.stringContaining("npm run dev'`. It ends when someone stops it"),
  });
  expect(JSON.stringify(ended)).not.toContain('@cyrus');
});
