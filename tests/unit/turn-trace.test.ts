/** A turn as an OpenTelemetry trace. */
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { traceOf } from '../../src/operations/traces/turn-trace.ts';
import type { JournalBody, JournalEntry } from '../../src/protocol/journal.ts';

const identity = {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  session: 's'.repeat(64),
  workspace: 'w1',
  issue: 'ENG-7',
  repository: 'acme/shop',
  turn: 2,
  version: 'abcdef',
};
const T0 = 1_700_000_000_000;

function journal(...bodies: [number, JournalBody][]): JournalEntry[] {
  return bodies.map(([seconds, body], index) => ({ seq: index + 1, at: T0 + seconds * 1_000, turn: 2, ...body }));
}

const usage = { inputTokens: 100, outputTokens: 20, cacheReadTokens: 0, cacheCreationTokens: 0 };
const turn = journal(
  [0, { kind: 'turn-started', promptIds: ['p1'] }],
  [
    0,
    { kind: 'prompt', promptId: 'p1', agentSessionId: null, author: 'ada', source: 'comment', text: 'our secret plan' },
  ],
  [1, { kind: 'step', step: 'worktree', status: 'started' }],
  [3, { kind: 'step', step: 'worktree', status: 'done' }],
  [4, { kind: 'claude-started', model: 'claude-opus-5-5', version: '2.1.330', cwd: '/w', tools: [], mcpServers: [] }],
  [5, { kind: 'tool-call', toolUseId: 't1', name: 'Task', input: { prompt: 'our secret plan' } }],
  [6, { kind: 'tool-call', toolUseId: 't2', name: 'Bash', input: { command: 'cat plan' }, parentToolUseId: 't1' }],
  [8, { kind: 'tool-result', toolUseId: 't2', text: 'our secret plan', isError: true, parentToolUseId: 't1' }],
  [9, { kind: 'tool-result', toolUseId: 't1', text: 'done', isError: false }],
  [9, { kind: 'tool-call', toolUseId: 't3', name: 'Bash', input: {} }],
  [10, { kind: 'retry', attempt: 1, maxAttempts: 10, delayMs: 500, httpStatus: 529, error: 'overloaded' }],
  [
    12,
    {
      kind: 'turn-ended',
      outcome: 'failed',
      text: 'our secret plan',
      reason: 'sandbox_lost',
      durationMs: 12_000,
      usage,
      costUsd: 1.25,
      numTurns: 3,
    },
  ],
);

/** opentelemetry-proto, trace/v1/trace.proto in its JSON mapping: ids in hex, 64-bit numbers as text, no unknown field. */
const valueSchema = z.union([
  z.strictObject({ stringValue: z.string() }),
  z.strictObject({ intValue: z.string().regex(/^-?\d+$/) }),
  z.strictObject({ doubleValue: z.number() }),
  z.strictObject({ boolValue: z.boolean() }),
]);
const attributesSchema = z.array(z.strictObject({ key: z.string().min(1), value: valueSchema }));
const time = z.string().regex(/^\d{19}$/);
const spanSchema = z.strictObject({
  traceId: z.string().regex(/^[0-9a-f]{32}$/),
  spanId: z.string().regex(/^[0-9a-f]{16}$/),
  parentSpanId: z
    .string()
    .regex(/^[0-9a-f]{16}$/)
    .optional(),
  name: z.string().min(1),
  kind: z.int().min(0).max(5),
  startTimeUnixNano: time,
  endTimeUnixNano: time,
  attributes: attributesSchema,
  events: z.array(z.strictObject({ timeUnixNano: time, name: z.string(), attributes: attributesSchema })),
  status: z.strictObject({ code: z.int().min(0).max(2) }),
});
const requestSchema = z.strictObject({
  resourceSpans: z.array(
    z.strictObject({
      resource: z.strictObject({ attributes: attributesSchema }),
      scopeSpans: z.array(
        z.strictObject({
          scope: z.strictObject({ name: z.string(), version: z.string() }),
          spans: z.array(spanSchema),
        }),
      ),
    }),
  ),
});

describe('the trace of a turn', () => {
  const trace = requestSchema.parse(JSON.parse(JSON.stringify(traceOf(identity, turn))));
  const spans = trace.resourceSpans[0]?.scopeSpans[0]?.spans ?? [];
  const named = (name: string) => spans.filter((span) => span.name === name);
  const valuesOf = (attributes: z.infer<typeof attributesSchema>) =>
    Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));

  it('has the turn with its model, tokens, cost and outcome, and what happened at one moment', () => {
    const [root] = named('invoke_agent cyrus');
    expect(root?.parentSpanId).toBeUndefined();
    expect(valuesOf(root?.attributes ?? [])).toMatchObject({
      'gen_ai.operation.name': 'invoke_agent',
      'gen_ai.request.model': 'claude-opus-5-5',
      'gen_ai.usage.input_tokens': '100',
      'cyrus.issue': 'ENG-7',
      'cyrus.outcome': 'failed',
      'cyrus.cost_usd': 1.25,
    });
    expect(root?.status).toEqual({ code: 2 });
    expect(root?.events.map(({ name }) => name)).toEqual(['prompt', 'retry']);
    expect(BigInt(root?.endTimeUnixNano ?? 0) - BigInt(root?.startTimeUnixNano ?? 0)).toBe(12_000_000_000n);
  });

  it('has a span for each step and call of a tool, in that of the helper that made it, and one that was cut off says so', () => {
    expect(named('step worktree')).toMatchObject([{ status: { code: 1 } }]);
    const [task] = named('execute_tool Task');
    const [inner, cut] = named('execute_tool Bash');
    expect(inner?.parentSpanId).toBe(task?.spanId);
    expect(inner?.status).toEqual({ code: 2 });
    expect(valuesOf(cut?.attributes ?? [])).toMatchObject({ 'cyrus.is_cut_off': true });
    expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(spans.length);
    for (const { startTimeUnixNano, endTimeUnixNano } of spans) {
      expect(BigInt(endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(startTimeUnixNano));
    }
  });

  it('has nothing that people or Claude wrote', () => {
    expect(JSON.stringify(trace)).not.toMatch(/secret plan|cat plan|ada/);
  });

  it('is the same each time, and none of nothing', () => {
    expect(traceOf(identity, turn)).toEqual(traceOf(identity, turn));
    expect(traceOf(identity, [])).toBeNull();
  });
});
