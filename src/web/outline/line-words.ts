/** Entries that are shown as one plain line: the words, how serious it is, and what can be unfolded. Pure. */
import { HELD_PUSH_TOOL, heldPushSchema } from '../../protocol/held-push.ts';
import { withoutDisguise } from '../../protocol/text/visible-text.ts';
import { compact, duration, plural, timeOfDay } from '../text/format.ts';
import type { Entry, LineKind } from './model.ts';
import { questionDetails, questionLines } from './questions.ts';
import { toolLabel } from './tool-summary.ts';

export type LineText = {
  readonly level: 'quiet' | 'info' | 'warning' | 'error';
  readonly text: string;
  /** Shown when unfolded, in the fixed font. */
  readonly more?: string;
};

/** `now` only decides whether times of day need their date. */
export function lineText(entry: Entry<LineKind>, now: number): LineText {
  switch (entry.kind) {
    case 'stop-requested':
      return { level: 'info', text: `${entry.author ?? 'Someone'} asked to stop` };
    case 'rate-limit':
      return rateLimitWords(entry, now);
    case 'model-changed': {
      const why = entry.reason === '' ? '' : `: ${entry.reason}`;
      return { level: 'warning', text: `The model changed from ${entry.from} to ${entry.to}${why}` };
    }
    case 'permission-denied':
      return { level: 'warning', text: `${toolLabel(entry.name)} was not allowed: ${entry.message}` };
    case 'compaction': {
      const { tokensBefore: before, tokensAfter: after } = entry;
      const sizes = before === null || after === null ? '' : `: ${compact(before)} → ${compact(after)} tokens`;
      return { level: 'quiet', text: `The conversation was summarized to make room${sizes}` };
    }
    case 'task':
      return { level: 'quiet', text: `Background task ${entry.status}: ${entry.description}` };
    case 'question': {
      const asked = entry.status === 'asked' ? 'Claude asks' : 'Claude no longer asks';
      if (entry.permission) return permissionText(entry);
      const [first = toolLabel(entry.name), ...others] = questionLines(entry.input);
      const details = questionDetails(entry.input);
      return {
        level: 'info',
        text: `${asked}: ${[first, ...others].join(' ')}`,
        ...(details !== '' && { more: details }),
      };
    }
    case 'notice':
      return { level: entry.level, ...split(entry.text) };
    case 'unknown':
      return {
        level: 'quiet',
        text: `Something this version does not know: ${entry.type}`,
        more: prettyJson(entry.raw),
      };
    case 'output': {
      const from = entry.source === 'setup' ? 'The setup printed' : 'Claude Code printed to stderr';
      return { level: 'quiet', text: from, more: entry.text };
    }
  }
}

/** The last of consecutive retries says what is going on now. */
export function retryText(entries: readonly Entry<'retry'>[]): LineText {
  const last = entries.at(-1);
  if (last === undefined) return { level: 'quiet', text: '' };
  const what =
    last.httpStatus === null
      ? `Claude's API could not be reached (${last.error})`
      : `Claude's API answered ${last.httpStatus} (${last.error})`;
  const text = `${what}: try ${last.attempt} of ${last.maxAttempts} after ${duration(last.delayMs)}`;
  return { level: 'warning', text };
}

/** What was to be done outside and was given up: the last of it with its reason, all of it unfolded. */
export function failureText(entries: readonly Entry<'effect-failed'>[]): LineText {
  const last = entries.at(-1);
  if (last === undefined) return { level: 'quiet', text: '' };
  const tried = `after ${plural(last.attempts, 'try', 'tries')}`;
  if (entries.length === 1) return { level: 'error', text: `Failed ${tried}: ${last.effect}. ${last.error}` };
  const text = `Failed ${entries.length} times, last ${tried}: ${last.effect}. ${last.error}`;
  return { level: 'error', text, more: entries.map(({ effect, error }) => `${effect}: ${error}`).join('\n') };
}

function rateLimitWords(entry: Entry<'rate-limit'>, now: number): LineText {
  const limit = `the ${entry.limit.replaceAll('_', ' ')} limit`;
  const until = entry.resetsAt === null ? '' : `; it resets at ${timeOfDay(entry.resetsAt, now)}`;
  if (entry.status === 'rejected') return { level: 'error', text: `Claude's usage reached ${limit}${until}` };
  const share = entry.utilization === null ? '' : `${Math.round(entry.utilization * 100)} % of `;
  return { level: 'warning', text: share ? `${share}${limit} is used${until}` : `Usage is close to ${limit}${until}` };
}

/** Long words are unfolded, not poured onto the page. */
function split(text: string): { text: string; more?: string } {
  const [first = '', ...rest] = text.trim().split('\n');
  return rest.length === 0 && first.length <= 400 ? { text: first } : { text: first.slice(0, 400), more: text };
}

/** The whole call, since what a subagent calls is nowhere else on the page. */
function permissionText({ name, input, status }: Entry<'question'>): LineText {
  const push = name === HELD_PUSH_TOOL ? heldPushSchema.safeParse(input).data : undefined;
  const what = name === HELD_PUSH_TOOL ? 'push changes to what runs on the git host' : `use ${toolLabel(name)}`;
  if (status === 'withdrawn') return { level: 'info', text: `Claude no longer asks to ${what}` };
  if (push) return { level: 'info', text: `Claude asks to ${what}`, more: withoutDisguise(push.diff) };
  const { command, ...rest } =
    typeof input === 'object' && input !== null ? (input as Record<string, unknown>) : { input };
  const fields = typeof command === 'string' ? rest : { command, ...rest };
  const others = Object.keys(fields).length > 0 ? JSON.stringify(fields, null, 2) : '';
  const parts = [typeof command === 'string' ? command : '', others].filter((part) => part !== '');
  return { level: 'info', text: `Claude asks to ${what}`, more: withoutDisguise(parts.join('\n\n')) };
}

function prettyJson(raw: string): string {
  try {
    return JSON.stringify(JSON.parse(raw), null, 2);
  } catch {
    return raw;
  }
}
