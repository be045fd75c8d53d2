import { describe, expect, it } from 'vitest';
import { endStream, initialReaderState, readLine } from '../../src/claude/stream.ts';
import { journalBodySchema } from '../../src/protocol/journal.ts';
import { fixtureLines, fixtureNames, ofKind, run } from './claude-fixtures.ts';

describe.each(fixtureNames)('the captured stream %s', (name) => {
  const { reads, entries, state } = run(fixtureLines(name));

  it('yields for every line entries, something live, or the reason why it adds nothing', () => {
    for (const [index, read] of reads.entries()) {
      const silent = read.entries.length === 0 && read.live.length === 0;
      expect(silent === (read.redundant !== undefined), `line ${index + 1}: ${JSON.stringify(read)}`).toBe(true);
    }
  });

  it('holds no line of a type this version does not know', () => {
    expect(ofKind(entries, 'unknown')).toEqual([]);
  });

  it('yields entries that fit the journal', () => {
    for (const { body } of entries) expect(journalBodySchema.parse(body)).toEqual(body);
  });

  it('streams of each block exactly the text that its entry holds', () => {
    const streamed = new Map<string, string>();
    let opened = 0;
    let ended = 0;
    for (const read of reads) {
      for (const live of read.live) {
        if (live.type === 'open') {
          streamed.set(live.block, '');
          opened += 1;
        }
        if (live.type === 'delta') streamed.set(live.block, (streamed.get(live.block) ?? '') + live.text);
        if (live.type === 'drop') {
          streamed.delete(live.block);
          ended += 1;
        }
      }
      for (const { body, block } of read.entries) {
        if (block === undefined) continue;
        if (body.kind === 'text' || body.kind === 'thinking') expect(streamed.get(block)).toBe(body.text);
        else expect(streamed.get(block)).toBe('');
        streamed.delete(block);
        ended += 1;
      }
    }
    expect([...streamed.keys()]).toEqual([]);
    expect(ended).toBe(opened);
  });

  it('never shows an internal diagnostic of the CLI', () => {
    expect(JSON.stringify(entries)).not.toContain('ede_diagnostic');
  });

  it('leaves nothing open behind', () => {
    expect(state).toMatchObject({ blocks: [], messages: [], questions: [] });
    expect(JSON.stringify(state).length).toBeLessThan(2_000);
  });
});

describe('a result', () => {
  const resultOf = (name: string) => ofKind(run(fixtureLines(name)).entries, 'result');

  it.each([
    ['err-usage-limit-5h.jsonl', 'api_error', 'usage_limit_reached'],
    ['err-drop.jsonl', 'api_error', 'connection_failed'],
    ['err-400-credit.jsonl', 'api_error', 'billing_error'],
    ['err-401-oauth.jsonl', 'api_error', 'authentication_failed'],
    ['06-no-credentials.jsonl', 'api_error', 'authentication_failed'],
    ['err-529-forever.jsonl', 'api_error', 'overloaded'],
    ['err-500-forever.jsonl', 'api_error', 'server_error'],
    ['err-apikey-429-forever.jsonl', 'api_error', 'rate_limit'],
    ['err-hang-API_TIMEOUT_MS_5000.jsonl', 'api_error', 'timed_out'],
  ])('of %s names its cause although its subtype is "success"', (name, terminalReason, apiError) => {
    expect(resultOf(name)).toMatchObject([{ isError: true, terminalReason, apiError }]);
  });

  it('follows terminal_reason if a limit of the CLI ended the turn', () => {
    expect(resultOf('15-error-max-turns.jsonl')).toMatchObject([{ isError: true, terminalReason: 'max_turns' }]);
    expect(resultOf('16-error-max-budget.jsonl')).toMatchObject([
      { isError: true, terminalReason: 'budget_exhausted' },
    ]);
    expect(resultOf('err-400-prompt-too-long.jsonl')).toMatchObject([{ terminalReason: 'prompt_too_long' }]);
  });

  it('of a local command, which has no terminal_reason, is completed', () => {
    expect(resultOf('23-compact-manual.jsonl').map((result) => result.terminalReason)).toEqual(
      Array(5).fill('completed'),
    );
  });

  it('names the prompts it answers, also if one was folded into the turn of the other', () => {
    const [first] = resultOf('02-multiturn-followup-while-running.jsonl');
    expect(first?.promptIds).toHaveLength(2);
    expect(resultOf('03-interrupt-control-request.jsonl')[0]?.promptIds).toEqual([
      '5df6bca4-11e3-46e1-b959-b35d08037e23',
    ]);
  });

  it('carries the usage and cost of its own turn, not the running total', () => {
    const results = resultOf('03-interrupt-control-request.jsonl');
    expect(results.map((result) => result.usage?.outputTokens)).toEqual([20, 20, 40, 20]);
    const costs = results.map((result) => result.costUsd ?? 0);
    expect(costs.reduce((sum, cost) => sum + cost, 0)).toBeCloseTo(0.0036, 10);
  });

  it('counts what subagents used', () => {
    expect(resultOf('18-subagent.jsonl')[0]?.usage).toMatchObject({ inputTokens: 400, outputTokens: 80 });
  });

  it('lists the tools that were denied', () => {
    expect(resultOf('10-permission-denied-headless.jsonl')[0]?.deniedTools).toEqual(['Write', 'Bash']);
  });
});

describe('a captured stream becomes entries of the journal', () => {
  it('in their order, for a run of one prompt', () => {
    const { entries } = run(fixtureLines('01-oneshot-partial-messages.jsonl'));
    expect(entries.map(({ body }) => body.kind)).toEqual([
      'claude-started',
      'thinking',
      'text',
      'tool-call',
      'tool-result',
      'tool-call',
      'tool-result',
      'tool-call',
      'tool-result',
      'text',
      'result',
    ]);
    expect(ofKind(entries, 'tool-result')[0]?.edit).toEqual({
      path: '/workspace/repo/repo/b.txt',
      created: true,
      hunks: [{ oldStart: 0, oldLines: 0, newStart: 1, newLines: 1, lines: ['+written by mock'] }],
    });
    expect(ofKind(entries, 'tool-result')[1]).toMatchObject({ isError: true, text: 'Exit code 1' });
  });

  it('when a limit is used up: its time in milliseconds, then an error for people', () => {
    const { entries } = run(fixtureLines('err-usage-limit-5h.jsonl'));
    expect(ofKind(entries, 'rate-limit')).toEqual([
      {
        kind: 'rate-limit',
        status: 'rejected',
        limit: 'five_hour',
        resetsAt: 1_795_396_781_000,
        utilization: 1,
        windows: [
          { name: 'five_hour', utilization: 1, resetsAt: 1_795_396_781_000, status: 'rejected' },
          { name: 'seven_day', utilization: 0.5, resetsAt: 1_795_793_181_000, status: 'allowed' },
        ],
      },
    ]);
    expect(ofKind(entries, 'notice')).toMatchObject([{ level: 'error' }]);
    expect(ofKind(entries, 'text')).toEqual([]);
  });

  it('with a subagent: its words and tools name the call that started it, its report is bare', () => {
    const { entries } = run(fixtureLines('18-subagent.jsonl'));
    const [call] = ofKind(entries, 'tool-call');
    const inside = entries.filter(({ body }) => 'parentToolUseId' in body).map(({ body }) => body);
    expect(inside.map((body) => body.kind)).toEqual(['text', 'tool-call', 'tool-result', 'text']);
    expect(inside).toEqual(inside.map((body) => ({ ...body, parentToolUseId: call?.toolUseId })));
    expect(ofKind(entries, 'tool-result').at(-1)?.text).toBe('sub result');
    expect(ofKind(entries, 'task').map((task) => task.status)).toEqual([
      'started',
      'running',
      'completed',
      'completed',
    ]);
  });

  it('when Claude asks its host', () => {
    const { entries } = run(fixtureLines('13-ask-user-question.jsonl'));
    expect(ofKind(entries, 'question')).toMatchObject([{ name: 'AskUserQuestion', status: 'asked' }]);
  });

  it('when Claude is interrupted while it writes: what it wrote is kept', () => {
    const { entries } = run(fixtureLines('03-interrupt-control-request.jsonl'));
    expect(ofKind(entries, 'text').map((text) => text.text)).toContain(
      'Long streaming text that will be interrupted in the middle of the stream, hopefully before it ends, some more words here.',
    );
    expect(ofKind(entries, 'result').map((result) => result.text)).toEqual([
      '',
      'resumed after interrupt',
      '',
      'after 2nd interrupt',
    ]);
  });
});

describe('edits, images and a stream that broke and was tried again', () => {
  const { entries, live } = run(fixtureLines('30-edit-image-subagent-broken-stream.jsonl'));

  it('shows an edit by its changed lines, a rewritten file as an edit, and an image by its size', () => {
    const results = ofKind(entries, 'tool-result');
    expect(results[1]?.text).toBe('[image, 72 B]');
    expect(results[2]?.edit).toMatchObject({ created: false, hunks: [{ oldStart: 1, newLines: 7 }] });
    expect(results[2]?.edit?.hunks[0]?.lines).toContain('+line three');
    expect(results[3]?.edit).toMatchObject({ created: false, hunks: [{ oldLines: 30, newLines: 1 }] });
  });

  it('drops what the broken stream had shown and keeps what came after', () => {
    expect(live.filter((item) => item.type === 'drop')).toHaveLength(1);
    expect(ofKind(entries, 'text').map((text) => text.text)).not.toContain(
      'this text will be lost because the stream breaks',
    );
    expect(ofKind(entries, 'text').at(-1)?.text).toBe('recovered text');
  });
});

describe('usage while a turn runs', () => {
  it('usage grows with the messages of the turn and starts at zero with the next', () => {
    const { live } = run(fixtureLines('03-interrupt-control-request.jsonl'));
    const outputs = live.flatMap((item) => (item.type === 'usage' ? [item.usage.outputTokens] : []));
    expect(outputs).toEqual([1, 20, 1, 20, 1, 1, 1, 20]);
  });
});

describe('a stream that breaks off', () => {
  const lines = fixtureLines('01-oneshot-partial-messages.jsonl');
  const opening = lines.findIndex((line) => line.includes('"text_delta"'));

  it('drops what was being written when the process is gone', () => {
    const { state, live } = run(lines.slice(0, opening + 1));
    const block = live.findLast((item) => item.type === 'open');
    const ended = endStream(state);
    expect(ended.live).toEqual([{ type: 'drop', block: block?.type === 'open' ? block.block : '' }]);
    expect(ended.state.blocks).toEqual([]);
  });

  it('drops it when the next message begins, or the next turn, whichever comes first', () => {
    const { state } = run(lines.slice(0, opening + 1));
    const start = (id: string) =>
      `{"type":"stream_event","event":{"type":"message_start","message":{"id":"${id}","usage":{"input_tokens":1}}},"parent_tool_use_id":null}`;
    expect(readLine(state, start('msg_next')).read.live[0]).toMatchObject({ type: 'drop' });
    expect(readLine(state, lines[0] ?? '').read.live).toMatchObject([{ type: 'drop' }]);
  });

  it('gives the entry whole if the answer came again without streaming', () => {
    const { state } = run(lines.slice(0, opening + 1));
    const { read } = readLine(
      state,
      '{"type":"assistant","message":{"id":"msg_again","model":"m","content":[{"type":"text","text":"again"}]},"parent_tool_use_id":null}',
    );
    expect(read.entries).toEqual([{ body: { kind: 'text', text: 'again' } }]);
  });

  it('gives the entry whole if viewers have seen less than the finished text', () => {
    const { state } = run(lines.slice(0, opening + 1));
    const finished = lines.find((line) => line.includes('"text":"Writing the file now."}]')) ?? '';
    const { read } = readLine(state, finished);
    expect(read.entries).toEqual([{ body: { kind: 'text', text: 'Writing the file now.' } }]);
    expect(read.live).toMatchObject([{ type: 'drop' }]);
  });
});

describe('speed', () => {
  it('reads at least 50,000 deltas a second', () => {
    const lines = fixtureLines('01-oneshot-partial-messages.jsonl');
    const opening = lines.findIndex((line) => line.includes('"text_delta"'));
    let { state } = run(lines.slice(0, opening));
    const delta = lines[opening] ?? '';
    const rate = () => {
      const started = performance.now();
      for (let count = 0; count < 20_000; count++) state = readLine(state, delta).state;
      return 20_000 / ((performance.now() - started) / 1000);
    };
    // The best of several rounds: the machine may be busy with something else during one.
    expect(Math.max(rate(), rate(), rate(), rate())).toBeGreaterThan(50_000);
    expect(state.blocks).toHaveLength(1);
  });
});

it('a line without a turn leaves the initial state as it is', () => {
  expect(readLine(initialReaderState, '{"type":"keep_alive"}')).toEqual({
    state: initialReaderState,
    read: { entries: [], live: [], redundant: 'keep-alive from the CLI' },
  });
});
