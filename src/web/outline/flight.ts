/** The flight record of a turn: what happened when, from the request to the end, without what Claude said and called. Pure. */
import type { JournalEntry } from '../../protocol/journal.ts';
import { plural } from '../text/format.ts';
import { failureText, lineText } from './line-words.ts';
import type { Entry, Moment } from './model.ts';
import { stepWords } from './step-words.ts';
import { stepsOf } from './steps.ts';

/** So many moments are kept: the first and the last of a turn with more. */
const MOST = 80;
/** Longest text of a moment, in UTF-16 code units. */
const MAX_TEXT = 240;

/** The moments of a turn. @param entries of one turn, in their order */
export function flightOf(entries: readonly JournalEntry[]): Moment[] {
  const steps = new Map(stepsOf(entries.filter((entry) => entry.kind === 'step')).map((step) => [step.key, step]));
  const moments: Moment[] = [];
  const add = (entry: JournalEntry, text: string, more: Partial<Pick<Moment, 'level' | 'tookMs' | 'at'>> = {}) =>
    moments.push({
      key: entry.seq,
      at: entry.at,
      level: 'plain',
      tookMs: null,
      ...more,
      text: text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT - 1)}…` : text,
    });
  const isSaved = entries.some(({ kind }) => kind === 'saved');
  let startedAt: number | null = null;
  let from: number | null = null;
  let retries: Entry<'retry'>[] = [];
  let hasSpoken = false;
  for (const entry of entries) {
    if (entry.kind !== 'retry' && retries.length > 0) {
      const last = retries.at(-1) ?? null;
      if (last) add(last, retriesText(retries), { level: 'warning' });
      retries = [];
    }
    switch (entry.kind) {
      case 'prompt':
        add(entry, `${entry.author ?? 'Someone'} ${entry.source === 'delegation' ? 'assigned the issue' : 'wrote'}`);
        break;
      case 'turn-started':
        from = entry.at;
        add(entry, `Turn ${entry.turn} began`);
        break;
      case 'step': {
        const step = steps.get(entry.seq);
        if (step === undefined) break; // It is told where it began.
        // Its end may be told after the turn's.
        if (step.step === 'save' && !step.done && isSaved) break;
        if (from !== null && !moments.some(({ text }) => text === SANDBOX) && entry.step !== 'save') {
          add(entry, SANDBOX, { tookMs: Math.max(0, (step.startedAt ?? entry.at) - from) });
        }
        const words = stepWords[step.step];
        const name = step.failed ? words.failed : step.done ? words.done : `${words.doing} did not end`;
        add(entry, step.detail === undefined ? name : `${name}: ${step.detail}`, {
          at: (step.startedAt ?? entry.at) + (step.startedAt === null ? 0 : (step.durationMs ?? 0)),
          level: step.done && !step.failed ? 'plain' : 'warning',
          tookMs: step.durationMs ?? null,
        });
        break;
      }
      case 'claude-started':
        startedAt = entry.at;
        if (!hasSpoken) add(entry, `Claude Code ${entry.version} ran, with ${entry.model}`);
        break;
      case 'text':
      case 'thinking':
      case 'tool-call':
        if (hasSpoken) break;
        hasSpoken = true;
        add(entry, 'Claude began', { tookMs: startedAt === null ? null : entry.at - startedAt });
        break;
      case 'retry':
        retries.push(entry);
        break;
      case 'question':
      case 'stop-requested':
      case 'permission-denied':
      case 'model-changed':
        add(entry, lineText(entry, entry.at).text);
        break;
      case 'rate-limit':
        if (entry.status !== 'allowed') add(entry, lineText(entry, entry.at).text, { level: 'warning' });
        break;
      case 'notice':
        if (entry.slot === 'free') from = entry.at;
        if (entry.level !== 'info' || entry.slot !== undefined) {
          add(entry, lineText(entry, entry.at).text, { level: entry.level === 'info' ? 'plain' : entry.level });
        }
        break;
      case 'effect-failed':
        add(entry, failureText([entry]).text, { level: 'error' });
        break;
      case 'saved':
        add(entry, savedText(entry), { level: entry.pushed || entry.problem === undefined ? 'plain' : 'warning' });
        break;
      case 'pull-request':
        add(entry, pullText(entry), { level: entry.state === 'failed' ? 'error' : 'plain' });
        break;
      case 'turn-ended':
        add(entry, endText(entry), { level: entry.outcome === 'failed' ? 'error' : 'plain', tookMs: entry.durationMs });
        break;
      default: // The timeline tells the rest.
    }
  }
  const inOrder = moments.toSorted((one, other) => one.at - other.at || one.key - other.key);
  return inOrder.length <= MOST ? inOrder : [...inOrder.slice(0, MOST / 2), ...inOrder.slice(-MOST / 2)];
}

const SANDBOX = 'The sandbox was ready';

function retriesText(retries: readonly Entry<'retry'>[]): string {
  const last = retries.at(-1);
  const status = last?.httpStatus == null ? 'could not be reached' : `answered ${last.httpStatus}`;
  return `Claude's API ${status}, tried again ${plural(retries.length, 'time')}`;
}

function savedText({ newCommits, pushed, problem }: Entry<'saved'>): string {
  const what = newCommits === 0 ? 'Nothing new to commit' : `${plural(newCommits, 'new commit')}`;
  if (pushed) return `${what}, pushed`;
  return problem === undefined ? what : `${what}, not pushed: ${problem}`;
}

function pullText({ state, number, problem }: Entry<'pull-request'>): string {
  if (state === 'failed') return `The pull request failed: ${problem ?? 'no reason was given'}`;
  return state === 'pending' ? 'The pull request is not there yet' : `Pull request #${number} ${state}`;
}

function endText({ outcome, reason }: Entry<'turn-ended'>): string {
  if (outcome === 'completed') return 'Done';
  return outcome === 'stopped' ? `Stopped (${reason})` : `Failed (${reason})`;
}
