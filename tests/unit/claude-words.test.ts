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

  it('and never repeats what is meant for someone at a terminal', () => {
    for (const name of fixtureNames) {
      for (const result of resultsOf(name)) {
        const { outcome, text } = describeResult(result);
        if (outcome !== 'completed')
          expect(text).not.toMatch(/ede_diagnostic|ANTHROPIC_BASE_URL|API_TIMEOUT_MS|\/login|127\.0\.0\.1/);
      }
    }
  });

  it('with the reset of the limit as reported, if it is known', () => {
    const [result] = resultsOf('err-usage-limit-5h.jsonl');
    const limit = { limit: 'seven_day', resetsAt: Date.UTC(2026, 10, 28, 1, 5) };
    expect(result && describeResult(result, limit).text).toContain(
      'weekly limit is used up; it resets at 01:05 UTC on 2026-11-28.',
    );
  });

  it('with the words of Claude if the limit last reported has no name', () => {
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

  it('with what Claude Code said, cut, if the cause is not known', () => {
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

describe('a refusal is told by what it is about, and trying again is only said where it can help', () => {
  const told = (apiError: string | null, text: string) =>
    describeResult({
      kind: 'result',
      isError: true,
      terminalReason: 'api_error',
      apiError,
      text,
      promptIds: [],
      durationMs: 1,
      usage: null,
      costUsd: null,
      numTurns: 1,
      deniedTools: [],
    }).text;
  const denied = (said: string) => told('authentication_failed', `Failed to authenticate. API Error: 403 ${said}`);

  it('a 403 is no matter of an expired token, unless it says so', () => {
    expect(denied('Your account does not have permission to use Claude.')).toMatch(
      /does not allow this request \(HTTP 403\): Your account does not have permission to use Claude\. /,
    );
    expect(denied('{"error":{"type":"forbidden","message":"Request not allowed"}}')).toContain(
      ': Request not allowed.',
    );
    expect(denied('OAuth token revoked')).toContain('`claude setup-token`');
    expect(told('oauth_org_not_allowed', 'Not allowed for this organization.')).not.toContain('setup-token');
  });

  it('what Cyrus itself refused is said in its words, with what an admin can do', () => {
    const own = 'Cyrus does not forward the beta "x". An admin can allow it: CLAUDE_API_ALLOW = beta:x';
    expect(denied(own)).toContain('CLAUDE_API_ALLOW = beta:x. The work');
    expect(denied(own)).not.toContain('credential');
  });

  it.each([
    'API Error: 400 prompt is too long: 205000 tokens > 200000 maximum',
    'API Error: 400 input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000',
    'API Error: The model has reached its context window limit.',
  ])('a conversation that is too long is that, also without a code: %s', (said) => {
    for (const code of [null, 'invalid_request']) expect(told(code, said)).toMatch(/context window.*start fresh/s);
  });

  it.each([
    ['API Error: 400 Could not process image', 'Could not process image'],
    [
      'API Error: 400 messages.5.content.0.image.source.base64: image exceeds 5 MB maximum: 6291456 bytes > 5242880 bytes',
      'image exceeds 5 MB maximum',
    ],
    [
      'API Error: 400 messages.5.content.0.image.source.base64.data: At least one of the image dimensions exceed max allowed size: 8000 pixels',
      'image dimensions exceed max allowed size',
    ],
  ])('an image that is not taken is named, and leaves with the conversation: %s', (said, words) => {
    expect(told('invalid_request', said)).toContain(`does not accept an image of this conversation: `);
    expect(told('invalid_request', said)).toMatch(new RegExp(`${words}.*start fresh`, 's'));
  });

  it('a spending limit of the account has its day, and one for long conversations its way out', () => {
    const until =
      'You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.';
    expect(told('invalid_request', `API Error: 400 ${until}`)).toMatch(
      /ends on 2026-12-01 at 00:00 UTC\..*after that/s,
    );
    const long = 'API Error: Request rejected (429) · Extra usage is required for long context requests';
    for (const code of [null, 'rate_limit', 'long_context_credits_required'])
      expect(told(code, long)).toMatch(/paid usage for a conversation of this length.*start fresh/s);
  });

  it.each([
    'API Error: 400 tools: Tool names must be unique.',
    'API Error: 400 This organization has been disabled.',
    'API Error: 405 Method Not Allowed',
    'API Error: 404 Not Found',
  ])('what the API will not serve is quoted, also if the CLI has no code for it: %s', (said) => {
    expect(told(null, said)).toContain(said.replace(/\.$/, ''));
    expect(told(null, said)).toContain('Trying again will not help');
  });

  it.each(['API Error: 408 Timeout', 'API Error: 502 Bad gateway', 'API Error: 520 error code: 520'])(
    'what may pass is tried again: %s',
    (said) => {
      expect(told(null, said)).toContain('to try again');
    },
  );
});
