/** The `result` line: Claude's last word on a turn. */

import type { ResultLine } from '../protocol/claude-line.ts';
import type { JournalBody, Usage } from '../protocol/journal.ts';
import { boundText, boundWord } from './bounds.ts';
import { failureCause } from './failure.ts';
import { withoutInternals } from './internals.ts';
import type { ReaderState, ReadStep } from './reader-state.ts';
import { dropBlocks, initialReaderState } from './reader-state.ts';

type Result = Extract<JournalBody, { kind: 'result' }>;

/** Most tool names and prompt ids kept of one result. */
const MAX_LIST = 100;

/**
 * Reads a `result` line. Whether the turn failed is `is_error`, why is `terminal_reason` and `api_error`; the subtype
 * says `success` even for API errors. Usage and cost are those of this turn with its subagents
 * (`model_usage_since_last_result`); without that field, usage is the main conversation's and the cost the growth of
 * the CLI's running total. Internal diagnostics are left out of the text.
 */
export function readResult(state: ReaderState, line: ResultLine): ReadStep {
  const text = line.result ?? (line.errors ?? []).filter((error) => !isDiagnostic(error)).join('\n');
  const cause = line.is_error ? (failureCause({ ...line, text }) ?? state.failure) : null;
  const promptIds = line.user_message_uuids ?? (line.user_message_uuid !== undefined ? [line.user_message_uuid] : []);
  const body: Result = {
    kind: 'result',
    isError: line.is_error,
    terminalReason: terminalReason(line),
    apiError: apiError(line, cause, state.failure),
    ...boundText(isDiagnostic(text) ? '' : withoutInternals(text)),
    promptIds: promptIds.slice(0, MAX_LIST).map(boundWord),
    durationMs: natural(line.duration_ms),
    usage: usageOf(line),
    costUsd: costOf(line, state.costTotal),
    numTurns: line.num_turns ?? null,
    deniedTools: (line.permission_denials ?? []).slice(0, MAX_LIST).map((denial) => boundWord(denial.tool_name)),
  };
  // A subagent in the background may write on; what the main conversation left open will not be finished any more.
  const dropped = dropBlocks(state, (block) => block.parent === null);
  const next: ReaderState = {
    ...dropped.state,
    messages: state.messages.filter((message) => message.parent !== null),
    turnUsage: initialReaderState.turnUsage,
    questions: [],
    failure: null,
    costTotal: line.total_cost_usd ?? state.costTotal,
  };
  return { state: next, read: { entries: [{ body }], live: dropped.live } };
}

/** The CLI's own notes on how it came to a result, such as `[ede_diagnostic] result_type=user …`. */
function isDiagnostic(text: string): boolean {
  return /^\s*\[ede_diagnostic\]/.test(text);
}

/** Missing after a local command such as /compact, and when the CLI could not start. */
function terminalReason(line: ResultLine): string {
  if (line.terminal_reason !== undefined) return boundWord(line.terminal_reason);
  if (!line.is_error) return 'completed';
  if (line.startup_failure_reason !== undefined) return 'startup_failed';
  return boundWord(line.subtype ?? 'unknown');
}

/** The message before the result knows more than the result unless that has an `api_error` of its own. */
function apiError(line: ResultLine, cause: string | null, failure: string | null): string | null {
  if (!line.is_error) return null;
  const named = line.api_error ?? line.startup_failure_reason ?? failure ?? cause;
  return named === null ? null : boundWord(named);
}

function usageOf(line: ResultLine): Usage | null {
  const models = Object.values(line.model_usage_since_last_result ?? {});
  if (models.length > 0) {
    const sum = (count: (model: (typeof models)[number]) => number | undefined) =>
      models.reduce((total, model) => total + natural(count(model)), 0);
    return {
      inputTokens: sum((model) => model.inputTokens),
      outputTokens: sum((model) => model.outputTokens),
      cacheReadTokens: sum((model) => model.cacheReadInputTokens),
      cacheCreationTokens: sum((model) => model.cacheCreationInputTokens),
    };
  }
  if (line.usage === undefined) return null;
  return {
    inputTokens: natural(line.usage.input_tokens),
    outputTokens: natural(line.usage.output_tokens),
    cacheReadTokens: natural(line.usage.cache_read_input_tokens),
    cacheCreationTokens: natural(line.usage.cache_creation_input_tokens),
  };
}

function costOf(line: ResultLine, before: number): number | null {
  if (line.model_usage_since_last_result !== undefined) {
    return Object.values(line.model_usage_since_last_result).reduce((sum, model) => sum + natural(model.costUSD), 0);
  }
  if (line.total_cost_usd === undefined) return null;
  // A total below the last one is that of a new conversation.
  return line.total_cost_usd >= before ? line.total_cost_usd - before : line.total_cost_usd;
}

function natural(count: number | undefined): number {
  return count !== undefined && count > 0 ? count : 0;
}
