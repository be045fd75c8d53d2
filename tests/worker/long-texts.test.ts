import { runInDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CheckpointManifest } from '../../src/protocol/checkpoint.ts';
import type { SandboxEventBody } from '../../src/protocol/sandbox/events.ts';
import { init, line, permission } from '../unit/support/session-play.ts';
import { created, issueUpdate, newThread, prompted, send, type Thread } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { watchStorage } from './support/platform-limits.ts';
import { Reporter, registerWorkspace, session } from './support/sessions.ts';

/** 5 MB at the most in UTF-8, and no cut at an even place is outside of a character: `a`, then pairs of surrogates. */
const mostly = (bytes: number) => `a${'𠮷野家の話'.repeat(Math.floor(bytes / 16))}`;
const LONG = mostly(4_500_000);
const MOST_BYTES = 1_000_000;

const RESULT = {
  type: 'result',
  subtype: 'success',
  is_error: false,
  result: 'Done.',
  num_turns: 2,
  duration_ms: 1,
  duration_api_ms: 1,
  total_cost_usd: 0.01,
  usage: { input_tokens: 10, output_tokens: 5 },
  permission_denials: [],
};

const assistant = (content: object) => ({
  type: 'assistant',
  message: { id: 'm', role: 'assistant', model: 'm', content: [content] },
  parent_tool_use_id: null,
});

const toolResult = (id: string, content: unknown) => ({
  type: 'user',
  message: { role: 'user', content: [{ type: 'tool_result', tool_use_id: id, content }] },
  parent_tool_use_id: null,
});

/** A tool of Claude's asks, and waits. */
function asks(requestId: string, tool: string, input: object): SandboxEventBody {
  const request = { subtype: 'can_use_tool', tool_name: tool, input, tool_use_id: 'toolu_asks' };
  return line({ type: 'control_request', request_id: requestId, request });
}

/** Every text that an object has stored, by table. */
function storedTexts(sql: SqlStorage): { table: string; bytes: number; isBroken: boolean }[] {
  const tables = sql
    .exec<{ name: string }>(
      "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'",
    )
    .toArray();
  return tables.flatMap(({ name }) =>
    sql
      .exec<Record<string, SqlStorageValue>>(`SELECT * FROM ${name}`)
      .toArray()
      .map((row) => {
        const texts = Object.values(row).filter((value) => typeof value === 'string');
        const bytes = texts.reduce((sum, text) => sum + new TextEncoder().encode(text).byteLength, 0);
        return { table: name, bytes, isBroken: texts.some((text) => /\ufffd|\\ud[89a-f][0-9a-f]{2}/i.test(text)) };
      }),
  );
}

async function expectBounded(thread: Thread, stored: ReturnType<typeof watchStorage>, outside: Outside): Promise<void> {
  await vi.waitFor(async () => expect(await pendingOf(thread)).toBe(0), { timeout: 60_000 });
  const rows = await runInDurableObject(session(thread), (_object, { storage }) => storedTexts(storage.sql));
  expect(rows.length).toBeGreaterThan(0);
  expect(rows.filter(({ bytes, isBroken }) => bytes > MOST_BYTES || isBroken)).toEqual([]);
  expect({ by: stored.by, isBelow: stored.largest <= MOST_BYTES }).toEqual({ by: stored.by, isBelow: true });
  const listed = await env.DB.prepare('SELECT * FROM sessions WHERE id = ?')
    .bind(session(thread).id.toString())
    .first();
  expect(JSON.stringify(listed)).not.toMatch(/\ufffd|\\ud[89a-f]/i);
  expect(new TextEncoder().encode(JSON.stringify(listed)).byteLength).toBeLessThan(100_000);
  expect(JSON.stringify(outside.said)).not.toMatch(/\ufffd|\\ud[89a-f][0-9a-f]{2}/i);
}

/** Effects that are due now. */
function pendingOf(thread: Thread): Promise<number> {
  return runInDurableObject(session(thread), (_object, { storage }) => {
    const due = 'SELECT count(*) AS count FROM outbox WHERE next_at <= ?';
    return storage.sql.exec<{ count: number }>(due, Date.now()).one().count;
  });
}

describe('five megabytes of text that is no ASCII', () => {
  let outside: Outside;
  let stored: ReturnType<typeof watchStorage>;
  let thread: Thread;
  let sandbox: Reporter;
  beforeEach(async () => {
    outside = new Outside();
    await registerWorkspace();
    stored = watchStorage();
    thread = newThread();
    sandbox = new Reporter(thread);
  });
  afterEach(() => stored.end());

  async function begin(more: object = {}): Promise<void> {
    const response = await send(created(thread, more));
    expect([response.status, await response.text()]).toEqual([200, expect.stringContaining('accepted')]);
    await vi.waitFor(() => expect(outside.starts.length).toBeGreaterThan(0), { timeout: 60_000 });
  }

  async function atWork(): Promise<void> {
    await begin();
    await sandbox.report({ type: 'cli-started', pid: 1, resumed: false }, init);
  }

  it.each([
    ['description', (issue: object) => ({ issue: { ...issue, description: LONG } })],
    ['title', (issue: object) => ({ issue: { ...issue, title: LONG } })],
    ['identifier', (issue: object) => ({ issue: { ...issue, identifier: LONG } })],
    ['address', (issue: object) => ({ issue: { ...issue, url: `https://linear.app/${LONG}` } })],
    ['author', () => ({ creator: { id: 'user-1', name: mostly(2_000_000), displayName: mostly(2_000_000) } })],
    [
      'labels and team',
      (issue: object) => ({
        issue: {
          ...issue,
          labels: [{ name: mostly(1_500_000) }],
          team: { id: 't', key: mostly(1_500_000), name: mostly(1_500_000) },
        },
      }),
    ],
  ])('leave every stored value below 1 MB as the %s of an issue in a webhook', async (_what, more) => {
    const { agentSession } = created(thread) as { agentSession: { issue: object } };
    await begin({ agentSession: { ...agentSession, ...more(agentSession.issue) } });
    await expectBounded(thread, stored, outside);
  });

  it('leave every stored value below 1 MB as the context and the rules of a webhook', async () => {
    await begin({ promptContext: mostly(2_000_000), guidance: mostly(2_000_000) });
    await expectBounded(thread, stored, outside);
  });

  it('leave every stored value below 1 MB as a comment, of which the prompt has 100,000 characters', async () => {
    await atWork();
    await send(prompted(thread, LONG));
    const hasIt = () =>
      outside.commands.some((command) => command.type === 'prompt' && command.text.includes(LONG.slice(0, 20_000)));
    await vi.waitFor(() => expect(hasIt()).toBe(true), { timeout: 60_000 });
    await expectBounded(thread, stored, outside);
  });

  it('leave every stored value below 1 MB as changes of the issue while Claude works', async () => {
    await atWork();
    for (let change = 0; change < 3; change += 1) {
      await send(
        issueUpdate(
          thread,
          { title: 'Before', description: 'Before' },
          { title: mostly(2_000_000), description: mostly(2_000_000) },
        ),
      );
    }
    await expectBounded(thread, stored, outside);
  });

  it('leave every stored value below 1 MB as an answer to a question of Claude’s, which gets all of it', async () => {
    await atWork();
    const input = { questions: [{ question: mostly(20_000), options: [{ label: 'A' }, { label: 'B' }] }] };
    await sandbox.report(asks('question-1', 'AskUserQuestion', input));
    await send(prompted(thread, LONG));
    await vi.waitFor(() => expect(outside.commands.some(({ type }) => type === 'answer')).toBe(true), {
      timeout: 60_000,
    });
    expect(JSON.stringify(outside.commands)).toContain(LONG.slice(-1_000));
    await expectBounded(thread, stored, outside);
  });

  it('are refused as a prompt of the page, and what is as long as it may be stays below 1 MB', async () => {
    await atWork();
    const url = `http://cyrus.test/api/sessions/${session(thread).id.toString()}/prompts`;
    const post = (text: string) =>
      exports.default.fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Basic ${btoa('a:test-access-password')}` },
        body: JSON.stringify({ id: crypto.randomUUID(), text }),
      });
    expect((await post(LONG)).status).toBe(400);
    expect((await post(mostly(130_000))).status).toBe(202);
    await expectBounded(thread, stored, outside);
  });

  it.each([
    ['text of Claude’s', () => assistant({ type: 'text', text: LONG })],
    ['thought of Claude’s', () => assistant({ type: 'thinking', thinking: LONG, signature: 's' })],
    [
      'input of a tool',
      () => assistant({ type: 'tool_use', id: 'toolu_1', name: 'Write', input: { file_path: LONG, content: LONG } }),
    ],
    ['output of a tool', () => toolResult('toolu_1', LONG)],
    [
      'result of an MCP server’s tool',
      () =>
        toolResult(
          'toolu_1',
          Array.from({ length: 40 }, () => ({ type: 'text', text: mostly(120_000) })),
        ),
    ],
    ['result of a turn', () => ({ ...RESULT, result: LONG })],
    ['line of an unknown type', () => ({ type: 'of-tomorrow', [LONG.slice(0, 300_000)]: LONG })],
    ['line of the system', () => ({ type: 'system', subtype: LONG, message: LONG, tools: [LONG] })],
    [
      'plan',
      () =>
        assistant({
          type: 'tool_use',
          id: 'toolu_1',
          name: 'TodoWrite',
          input: {
            todos: Array.from({ length: 100 }, (_, index) => ({
              id: String(index),
              content: mostly(40_000),
              status: 'pending',
              activeForm: mostly(1_000),
            })),
          },
        }),
    ],
  ])('leave every stored value below 1 MB as a %s', async (_what, made) => {
    await atWork();
    await sandbox.report(line(made()));
    await sandbox.report(line(toolResult('toolu_1', 'done')), line(RESULT));
    await expectBounded(thread, stored, outside);
  });

  it('leave every stored value below 1 MB as streamed pieces', async () => {
    await atWork();
    const start = { type: 'message_start', message: { id: 'm', usage: {} } };
    const open = { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } };
    const event = (body: object) =>
      line({ type: 'stream_event', event: body, parent_tool_use_id: null, api_message_id: 'm' });
    await sandbox.report(event(start), event(open));
    for (let piece = 0; piece < 5; piece += 1) {
      await sandbox.report(
        event({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: mostly(900_000) } }),
      );
    }
    await expectBounded(thread, stored, outside);
  });

  it.each<[string, SandboxEventBody[]]>([
    [
      'output of the setup script and of the CLI',
      [
        { type: 'setup-output', text: LONG },
        { type: 'stderr', text: LONG },
      ],
    ],
    ['notice', [{ type: 'notice', text: LONG }]],
    ['failure', [{ type: 'failed', step: 'setup', message: LONG, hint: LONG }]],
    ['step', [{ type: 'step', step: 'setup', status: 'done', detail: LONG }]],
    [
      'question',
      [
        asks(mostly(1_000), 'AskUserQuestion', {
          questions: [{ question: LONG, options: [{ label: LONG, description: LONG }] }],
        }),
      ],
    ],
    ['permission', [permission('permission-1', LONG, { decision_reason: LONG })]],
    [
      'permissions that wait',
      Array.from({ length: 40 }, (_, index) => permission(`permission-${index}`, mostly(100_000))),
    ],
  ])('leave every stored value below 1 MB as a %s of the sandbox', async (_what, events) => {
    await atWork();
    for (const event of events) await sandbox.report(event);
    await expectBounded(thread, stored, outside);
  });

  it('leave every stored value below 1 MB as what was saved', async () => {
    await atWork();
    const name = mostly(4_000);
    await sandbox.report(line(RESULT));
    await sandbox.report({
      type: 'saved',
      turn: 1,
      branch: 'cyrus/eng-7',
      head: 'a'.repeat(40),
      commits: Array.from({ length: 500 }, (_, index) => ({ sha: `${index}`.padStart(40, '0'), subject: name })),
      files: Array.from({ length: 2_000 }, (_, index) => ({ path: `${index}${name}`, additions: 1, deletions: 1 })),
      newCommits: 500,
      pushed: true,
      problem: mostly(500_000),
      patchBytes: null,
    });
    await expectBounded(thread, stored, outside);
  });

  it('leave every stored value below 1 MB as a checkpoint of many files, which is given to the next sandbox whole', async () => {
    await atWork();
    const part = (index: number) => ({
      name: `${String(index).padStart(8, '0')}-0123abcd.part`,
      bytes: 1,
      sha256: 'a'.repeat(64),
    });
    const commit = 'b'.repeat(40);
    const manifest: CheckpointManifest = {
      version: 1,
      generation: 1,
      sequence: 1,
      at: 1,
      conversationId: outside.starts[0]?.body.claude.conversationId ?? '',
      repository: 'acme/shop',
      branch: 'cyrus/eng-7',
      eventSeq: 1,
      prompts: [],
      worktree: { commit, index: commit, head: commit, headRef: null, branchHead: commit, bundles: [], skipped: [] },
      files: Array.from({ length: 500 }, (_, index) => ({
        path: `projects/${index}${'話'.repeat(400)}`,
        bytes: 1,
        sha256: 'a'.repeat(64),
        parts: Array.from({ length: 60 }, (_part, number) => part(index * 60 + number)),
      })),
    };
    expect(await session(thread).noteCheckpoint(manifest)).toMatchObject({ kind: 'noted' });
    await session(thread).noteSandboxEnded(1);
    await vi.waitFor(() => expect(outside.starts.at(-1)?.body.generation).toBe(2), { timeout: 60_000 });
    expect(outside.starts.at(-1)?.body.restore).toEqual(manifest);
    await expectBounded(thread, stored, outside);
  });
});
