import { describe, expect, it } from 'vitest';
import { describeResult } from '../../src/claude/words.ts';
import { fixtureLines, fixtureNames, ofKind, run } from './claude-fixtures.ts';

const resultsOf = (name: string) => ofKind(run(fixtureLines(name)).entries, 'result');
const describeLast = (name: string) => {
  const result = resultsOf(name).at(-1);
  if (result === undefined) throw new Error(`${name} has no result`);
  return describeResult(result);
};

describe('a completed turn', () => {
  it('is told by Claude’s own answer', () => {
    expect(describeLast('01-oneshot-partial-messages.jsonl')).toEqual({
      outcome: 'completed',
      reason: 'completed',
      text: 'All done.',
    });
  });

  it('without an answer still says something', () => {
    const compact = resultsOf('23-compact-manual.jsonl')[3];
    expect(compact && describeResult(compact)).toMatchObject({ outcome: 'completed', text: 'Done.' });
  });
});

it('an interrupted turn is stopped, not failed', () => {
  const outcomes = resultsOf('03-interrupt-control-request.jsonl').map((result) => describeResult(result));
  expect(outcomes.map(({ outcome, reason }) => [outcome, reason])).toEqual([
    ['stopped', 'aborted_tools'],
    ['completed', 'completed'],
    ['stopped', 'aborted_streaming'],
    ['completed', 'completed'],
  ]);
  expect(outcomes[0]?.text).toContain('kept on the branch');
});

describe('a failed turn says what failed, what became of the work, and what to do', () => {
  it.each([
    [
      'err-usage-limit-5h.jsonl',
      'usage_limit_reached',
      /5-hour limit is used up; it resets at 01:19 UTC.*Comment here after that/s,
    ],
    ['err-401-oauth.jsonl', 'authentication_failed', /does not accept the credential.*`claude setup-token`/s],
    ['06-no-credentials.jsonl', 'authentication_failed', /credential/],
    ['err-400-credit.jsonl', 'billing_error', /credit balance.*add credit/s],
    ['err-529-forever.jsonl', 'overloaded', /overloaded.*few minutes/s],
    ['err-500-forever.jsonl', 'server_error', /error of its own/],
    ['err-apikey-429-forever.jsonl', 'rate_limit', /too many requests/],
    ['err-drop.jsonl', 'connection_failed', /connection.*broke off/],
    ['err-hang-API_TIMEOUT_MS_5000.jsonl', 'timed_out', /did not answer in time/],
    ['err-400-prompt-too-long.jsonl', 'prompt_too_long', /longer than Claude.s context window.*new issue/s],
    ['15-error-max-turns.jsonl', 'max_turns', /limit of steps.*continue/s],
    ['16-error-max-budget.jsonl', 'budget_exhausted', /spending limit/],
  ])('%s', (name, reason, text) => {
    const described = describeLast(name);
    expect(described).toMatchObject({ outcome: 'failed', reason });
    expect(described.text).toMatch(text);
    expect(described.text).toContain('kept on the branch');
  });

  it('without words meant for someone at a terminal', () => {
    for (const name of fixtureNames) {
      for (const result of resultsOf(name)) {
        const { outcome, text } = describeResult(result);
        if (outcome !== 'completed')
          expect(text).not.toMatch(/ede_diagnostic|ANTHROPIC_BASE_URL|API_TIMEOUT_MS|\/login|127\.0\.0\.1/);
      }
    }
  });

  it('with the reset of the limit as reported, where it is known', () => {
    const [result] = resultsOf('err-usage-limit-5h.jsonl');
    const limit = { limit: 'seven_day', resetsAt: Date.UTC(2026, 10, 28, 1, 5) };
    expect(result && describeResult(result, limit).text).toContain(
      'weekly limit is used up; it resets at 01:05 UTC on 2026-11-28.',
    );
  });

  it('with the words of Claude where the limit last reported has no name', () => {
    const [result] = resultsOf('err-usage-limit-5h.jsonl');
    expect(result && describeResult(result, { limit: 'unknown', resetsAt: null }).text).toContain(
      '5-hour limit is used up; it resets at 01:19 UTC.',
    );
  });

  it('in a time zone that is not UTC as Claude said it', () => {
    const [result] = resultsOf('err-usage-limit-5h.jsonl');
    const text = (said: string) => result && describeResult({ ...result, text: said }).text;
    expect(text("You've hit your weekly limit · resets 12am (Europe/Berlin)")).toContain(
      'it resets at 00:00 Europe/Berlin.',
    );
    expect(text("You've hit your weekly limit · resets Nov 28, 1am (UTC)")).toContain('it resets Nov 28, 1am (UTC).');
    expect(text('Limit reached')).toContain("Claude's usage limit is used up.");
  });

  it('with what Claude Code said, cut, where the cause is not known', () => {
    const [result] = resultsOf('err-500-forever.jsonl');
    const described =
      result && describeResult({ ...result, terminalReason: 'odd', apiError: null, text: `Odd ${'x'.repeat(5_000)}` });
    expect(described).toMatchObject({ outcome: 'failed', reason: 'odd' });
    expect(described?.text).toContain('(odd): Odd xxx');
    expect(described?.text.length).toBeLessThan(1_000);
  });
});

describe('a lasting cause is called what it is, with what helps', () => {
  const base = resultsOf('err-500-forever.jsonl').at(-1);
  const failed = (more: Partial<NonNullable<typeof base>>) => {
    if (!base) throw new Error('no result');
    return { ...base, ...more };
  };
  const words = (...given: Parameters<typeof describeResult>) => describeResult(...given).text;

  it.each([
    ['wish', /`claude-opus-9`, which the issue or a comment asks for/, /`\[model=sonnet\]`/],
    ['label', /which a label of the issue asks for/, /`\[model=sonnet\]`/],
    ['settings', /settings or CLAUDE_MODEL name/, /A Cyrus admin.*`\[model=sonnet\]`/],
  ] as const)('an unknown model is named, with who chose it (%s)', (from, what, todo) => {
    const result = failed({ apiError: 'model_not_found', terminalReason: 'api_error', text: 'API Error: 404' });
    const text = words(result, undefined, { name: 'claude-opus-9', from });
    expect(text).toMatch(what);
    expect(text).toMatch(todo);
  });

  it('a fault of the API is named by its kind', () => {
    const text = 'API Error: 500 {"type":"error","error":{"type":"api_error","message":"Internal server error"}}';
    expect(words(failed({ text }))).toContain('an error of its own (HTTP 500, api_error), several times');
    expect(words(failed({ text: '' }))).toContain('an error of its own, several times');
  });

  it.each([
    ['413', { apiError: null, text: 'API Error: 413 {"error":{"type":"request_too_large"}}' }, /start fresh/],
    [
      'a too long tool name',
      {
        apiError: 'invalid_request',
        text: 'API Error: 400 tools.12.custom.name: String should have at most 128 characters',
      },
      /name of a tool of an MCP server is too long.*128 characters.*shorter name/s,
    ],
    [
      'a PDF',
      {
        apiError: 'invalid_request',
        text: 'API Error: 400 messages.0.content.1.pdf: The PDF specified was not valid.',
      },
      /could not read a PDF.*without it/s,
    ],
  ])('%s', (_, result, expected) => {
    const text = words(failed({ terminalReason: 'api_error', ...result }));
    expect(text).toMatch(expected);
    expect(text).not.toMatch(/Comment here to try again|in a few minutes/);
  });
});
