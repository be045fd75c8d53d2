/**
 * A turn as one OpenTelemetry trace, made of its journal (pure): OTLP/JSON (opentelemetry.io/docs/specs/otlp), attributes of generative AI by
 * the semantic conventions. Names, numbers and times only: nothing that people or Claude wrote, and no tool's input.
 */
import type { JournalEntry } from '../../protocol/journal.ts';

/** Whose turn it is. */
export interface TurnIdentity {
  /** 32 hex digits. */
  traceId: string;
  session: string;
  workspace: string;
  issue: string | null;
  repository: string | null;
  turn: number;
  /** The version of Cyrus that sends it. */
  version: string;
}

type Value = { stringValue: string } | { intValue: string } | { doubleValue: number } | { boolValue: boolean };
interface Attribute {
  key: string;
  value: Value;
}
interface Span {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: Attribute[];
  events: { timeUnixNano: string; name: string; attributes: Attribute[] }[];
  status: { code: number };
}
export interface TraceRequest {
  resourceSpans: [
    {
      resource: { attributes: Attribute[] };
      scopeSpans: [{ scope: { name: string; version: string }; spans: Span[] }];
    },
  ];
}

const INTERNAL = 1;
const OK = 1;
const ERROR = 2;

/** @param entries of the turn, in their order @returns null: there is nothing of a turn among them */
export function traceOf(identity: TurnIdentity, entries: readonly JournalEntry[]): TraceRequest | null {
  const [first] = entries;
  const last = entries.at(-1);
  if (!first || !last) return null;
  const { traceId, session, workspace, issue, repository, turn, version } = identity;
  const spanIdOf = (seq: number) => traceId.slice(0, 8) + seq.toString(16).padStart(8, '0').slice(-8);
  const rootId = spanIdOf(0);
  const ended = entries.findLast((entry) => entry.kind === 'turn-ended');
  const started = entries.find((entry) => entry.kind === 'claude-started');
  const root: Span = {
    traceId,
    spanId: rootId,
    name: 'invoke_agent cyrus',
    kind: INTERNAL,
    startTimeUnixNano: nanos(entries.find((entry) => entry.kind === 'turn-started')?.at ?? first.at),
    endTimeUnixNano: nanos(Math.max(ended?.at ?? last.at, first.at)),
    attributes: attributes({
      'gen_ai.operation.name': 'invoke_agent',
      'gen_ai.provider.name': 'anthropic',
      'gen_ai.agent.name': 'cyrus',
      'gen_ai.conversation.id': session,
      'gen_ai.request.model': started?.model,
      'gen_ai.usage.input_tokens': ended?.usage?.inputTokens,
      'gen_ai.usage.output_tokens': ended?.usage?.outputTokens,
      'cyrus.workspace': workspace,
      'cyrus.issue': issue,
      'cyrus.repository': repository,
      'cyrus.turn': turn,
      'cyrus.outcome': ended?.outcome,
      'cyrus.reason': ended?.reason,
      'cyrus.cost_usd': ended?.costUsd === null || ended === undefined ? undefined : { double: ended.costUsd },
    }),
    events: entries.flatMap((entry) => eventOf(entry) ?? []),
    status: { code: ended?.outcome === 'failed' ? ERROR : OK },
  };
  const children = [...stepSpans(entries), ...toolSpans(entries)].map(({ seq, parentSeq, ...span }) => ({
    traceId,
    spanId: spanIdOf(seq),
    parentSpanId: parentSeq === null ? rootId : spanIdOf(parentSeq),
    kind: INTERNAL,
    events: [],
    ...span,
  }));
  const resource = attributes({ 'service.name': 'cyrus', 'service.version': version === '' ? undefined : version });
  return {
    resourceSpans: [
      {
        resource: { attributes: resource },
        scopeSpans: [{ scope: { name: 'cyrus', version }, spans: [root, ...children] }],
      },
    ],
  };
}

/** A span before its ids: what it begins with, and what it lies in; null: the turn. */
interface Part extends Pick<Span, 'name' | 'startTimeUnixNano' | 'endTimeUnixNano' | 'attributes' | 'status'> {
  seq: number;
  parentSeq: number | null;
}

function stepSpans(entries: readonly JournalEntry[]): Part[] {
  const steps = entries.flatMap((entry) => (entry.kind === 'step' ? [entry] : []));
  return steps
    .filter(({ status }) => status === 'done')
    .map((done) => {
      const begun = steps.findLast(
        ({ step, status, seq }) => step === done.step && status === 'started' && seq < done.seq,
      );
      const from = begun?.at ?? done.at - (done.durationMs ?? 0);
      return {
        seq: done.seq,
        parentSeq: null,
        name: `step ${done.step}`,
        startTimeUnixNano: nanos(from),
        endTimeUnixNano: nanos(Math.max(done.at, from)),
        attributes: attributes({ 'cyrus.step': done.step }),
        status: { code: done.failed ? ERROR : OK },
      };
    });
}

/** A call that has no result was cut off: it ends with the last entry. */
function toolSpans(entries: readonly JournalEntry[]): Part[] {
  const calls = new Map(
    entries.flatMap((entry) => (entry.kind === 'tool-call' ? [[entry.toolUseId, entry] as const] : [])),
  );
  const results = new Map(
    entries.flatMap((entry) => (entry.kind === 'tool-result' ? [[entry.toolUseId, entry] as const] : [])),
  );
  const endAt = entries.at(-1)?.at ?? 0;
  return [...calls.values()].map((call) => {
    const result = results.get(call.toolUseId);
    return {
      seq: call.seq,
      parentSeq: calls.get(call.parentToolUseId ?? '')?.seq ?? null,
      name: `execute_tool ${call.name}`,
      startTimeUnixNano: nanos(call.at),
      endTimeUnixNano: nanos(Math.max(result?.at ?? endAt, call.at)),
      attributes: attributes({
        'gen_ai.operation.name': 'execute_tool',
        'gen_ai.tool.name': call.name,
        'gen_ai.tool.call.id': call.toolUseId,
        'cyrus.is_cut_off': result === undefined ? true : undefined,
      }),
      status: { code: result === undefined || result.isError ? ERROR : OK },
    };
  });
}

/** What happens at one moment. */
function eventOf(entry: JournalEntry): Span['events'][number] | null {
  const event = (name: string, fields: Fields) => ({
    timeUnixNano: nanos(entry.at),
    name,
    attributes: attributes(fields),
  });
  switch (entry.kind) {
    case 'prompt':
      return event('prompt', { 'cyrus.source': entry.source });
    case 'stop-requested':
      return event('stop requested', { 'cyrus.source': entry.source });
    case 'retry':
      return event('retry', {
        'cyrus.attempt': entry.attempt,
        'http.response.status_code': entry.httpStatus ?? undefined,
      });
    case 'rate-limit':
      return event('rate limit', { 'cyrus.limit': entry.limit, 'cyrus.status': entry.status });
    case 'model-changed':
      return event('model changed', { 'gen_ai.request.model': entry.to });
    case 'permission-denied':
      return event('permission denied', { 'gen_ai.tool.name': entry.name });
    case 'compaction':
      return event('compaction', { 'cyrus.trigger': entry.trigger });
    case 'saved':
      return event('saved', { 'cyrus.new_commits': entry.newCommits, 'cyrus.pushed': entry.pushed });
    case 'pull-request':
      return event('pull request', { 'cyrus.state': entry.state, 'cyrus.number': entry.number ?? undefined });
    case 'effect-failed':
      return event('effect failed', { 'cyrus.effect': entry.effect, 'cyrus.attempts': entry.attempts });
    default:
      return null;
  }
}

type Fields = Record<string, string | number | boolean | { double: number } | null | undefined>;

function attributes(fields: Fields): Attribute[] {
  return Object.entries(fields).flatMap(([key, value]) => {
    if (value === null || value === undefined) return [];
    return [{ key, value: valueOfField(value) }];
  });
}

/** Whole numbers cross as text in OTLP's JSON. */
function valueOfField(value: string | number | boolean | { double: number }): Value {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'object') return { doubleValue: value.double };
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}

/** @param at ms since the epoch */
function nanos(at: number): string {
  return `${Math.round(at)}000000`;
}
