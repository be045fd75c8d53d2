/**
 * What Claude's tools have been doing lately, as the journal knows it: so that after a loss Claude can be told which calls
 * had finished, and of which the outcome is not known. Pure.
 */
import type { JournalBody } from '../../../protocol/journal.ts';
import { cutWhole } from '../../../protocol/text/sendable-text.ts';

/** More calls than this are not told one by one. */
const MAX_CALLS = 30;
const MAX_INPUT = 300;
const MAX_RESULT = 300;

/** One call of a tool. Texts are shortened. */
export interface RecentCall {
  id: string;
  name: string;
  input: string;
  /** `running` until there is a result; `unknown` when whatever ran it was lost. */
  outcome: 'running' | 'done' | 'failed' | 'unknown';
  result: string;
  /** The sandbox's life and its event that reported the result; 0 before. */
  generation: number;
  doneSeq: number;
}

/** The calls after a journal entry. Those of subagents are part of the call that began the subagent. */
export function noteCall(
  calls: readonly RecentCall[],
  body: JournalBody,
  at: { generation: number; seq: number },
): readonly RecentCall[] {
  if (body.kind === 'tool-call' && body.parentToolUseId === undefined) {
    const { toolUseId: id, name, input } = body;
    const text = shorten(typeof input === 'string' ? input : JSON.stringify(input), MAX_INPUT);
    const call: RecentCall = {
      id,
      name,
      input: text,
      outcome: 'running',
      result: '',
      generation: at.generation,
      doneSeq: 0,
    };
    return [...calls, call].slice(-MAX_CALLS);
  }
  if (body.kind === 'tool-result' && body.parentToolUseId === undefined) {
    const { toolUseId, isError, text } = body;
    return calls.map((call) =>
      call.id === toolUseId
        ? { ...call, outcome: isError ? 'failed' : 'done', result: shorten(text, MAX_RESULT), doneSeq: at.seq }
        : call,
    );
  }
  return calls;
}

/** The calls that are not in a checkpoint. */
export function callsSince(
  calls: readonly RecentCall[],
  checkpoint: { generation: number; eventSeq: number },
): readonly RecentCall[] {
  return calls.filter(
    (call) =>
      call.outcome === 'running' ||
      call.generation > checkpoint.generation ||
      (call.generation === checkpoint.generation && call.doneSeq > checkpoint.eventSeq),
  );
}

/** What ran is lost: nobody will report how it ended. */
export function loseCalls(calls: readonly RecentCall[]): readonly RecentCall[] {
  return calls.map((call) => (call.outcome === 'running' ? { ...call, outcome: 'unknown' } : call));
}

/** What tells one call from another that does something else; null if none was running. */
export function runningCall(calls: readonly RecentCall[]): string | null {
  const running = calls.findLast((call) => call.outcome === 'running');
  return running ? `${running.name} ${running.input}` : null;
}

/** The calls as lines for Claude. */
export function listCalls(calls: readonly RecentCall[]): string {
  const words = { running: 'outcome unknown', unknown: 'outcome unknown', done: 'succeeded', failed: 'failed' };
  return calls
    .map(({ name, input, outcome, result }) => `- ${name} ${input}: ${words[outcome]}${result ? `: ${result}` : ''}`)
    .join('\n');
}

function shorten(text: string, most: number): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > most ? `${cutWhole(line, most)}…` : line;
}
