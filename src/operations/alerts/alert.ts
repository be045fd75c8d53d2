/**
 * What somebody has to know, and when they are told (pure). An event is told at once, and those of the same key that follow within the
 * hour are told together after it. A condition is told when it begins, again every day while it lasts, and when it is over.
 */
import * as z from 'zod';

export const severitySchema = z.enum(['warning', 'error', 'critical']);
export type Severity = z.infer<typeof severitySchema>;

export const alertSchema = z.object({
  /** What is the same alert when it comes again: `linear.reinstall_needed:<workspace>`. At most 200 characters. */
  key: z.string().min(1).max(200),
  severity: severitySchema,
  /** A sentence without its full stop, for people. Never a secret, and nothing of an issue's text. */
  words: z.string().max(1_000),
  /** Where to look or what to do; null: the words say it. */
  remedy: z.string().max(1_000).nullable(),
});
export type Alert = z.infer<typeof alertSchema>;

const knownSchema = z.object({
  ...alertSchema.shape,
  /** `condition`: it is looked at every five minutes, and found to be over. */
  kind: z.enum(['event', 'condition']),
  firstAt: z.number(),
  lastAt: z.number(),
  /** When people were last told. */
  toldAt: z.number(),
  /** How often it came since. */
  untold: z.number(),
});
/** By key. */
export const alertsSchema = z.record(z.string(), knownSchema);
export type KnownAlerts = z.infer<typeof alertsSchema>;

/** What people are told: that something began or came again, or that it is over. */
export interface Notice {
  what: 'raised' | 'resolved';
  key: string;
  severity: Severity;
  words: string;
  remedy: string | null;
  /** Since when it is so, ms. */
  since: number;
}

/** The entry that says what the alert means and what to do, as a path in this project. @param key of a notice */
export function runbookOf(key: string): string {
  const [kind = key] = key.split(':');
  return `docs/runbook.md#${kind.replaceAll('.', '')}`;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Keys come from the log too: of more different ones than this at a time nobody is told, however many come. */
const MOST_KNOWN = 100;

export interface Step {
  known: KnownAlerts;
  notices: Notice[];
}

/** Something happened. It is a line in the log, whether or not people are told. @param now ms */
export function happened(known: KnownAlerts, alert: Alert, now: number): Step {
  const before = known[alert.key];
  if (before && now - before.toldAt < HOUR_MS) {
    return {
      known: { ...known, [alert.key]: { ...before, ...alert, lastAt: now, untold: before.untold + 1 } },
      notices: [],
    };
  }
  const events = Object.values(known).filter(({ kind }) => kind === 'event');
  if (!before && events.length >= MOST_KNOWN) return { known, notices: [] };
  return tell(known, { ...alert, kind: 'event' }, now, before?.untold ?? 0);
}

/**
 * Everything was looked at.
 * @param found conditions that hold now
 * @param unseen beginnings of the keys of what could not be looked at: of that nothing is over
 * @param now ms
 * @returns also what came of events that nobody was told of yet, after their hour
 */
export function looked(known: KnownAlerts, found: readonly Alert[], unseen: readonly string[], now: number): Step {
  let step: Step = { known, notices: [] };
  for (const alert of found) {
    const before = step.known[alert.key];
    const isOld = before === undefined || now - before.toldAt >= DAY_MS;
    const isGrave = before !== undefined && rank(alert.severity) > rank(before.severity);
    if (isOld || isGrave) {
      const { known: after, notices } = tell(step.known, { ...alert, kind: 'condition' }, now, 0);
      step = { known: after, notices: [...step.notices, ...notices] };
    } else if (before?.kind === 'event') {
      // People were told when it happened; from now on it is looked at whether it is over.
      step = { ...step, known: { ...step.known, [alert.key]: { ...before, ...alert, kind: 'condition', untold: 0 } } };
    } else if (isOther(before, alert)) {
      // It is shown as it is now; people know that it holds.
      step = { ...step, known: { ...step.known, [alert.key]: { ...before, ...alert } } };
    }
  }
  const isUnseen = (key: string) => unseen.some((beginning) => key.startsWith(beginning));
  for (const [key, alert] of Object.entries(step.known)) {
    if (alert.kind === 'condition' && !isUnseen(key) && !found.some((each) => each.key === key)) {
      const { [key]: _, ...rest } = step.known;
      step = { known: rest, notices: [...step.notices, noticeOf('resolved', alert, alert.firstAt)] };
    } else if (alert.kind === 'event' && alert.untold > 0 && now - alert.toldAt >= HOUR_MS) {
      const { known: after, notices } = tell(step.known, alert, now, alert.untold - 1);
      step = { known: after, notices: [...step.notices, ...notices] };
    } else if (alert.kind === 'event' && now - alert.lastAt >= DAY_MS) {
      // What does not come again for a day is over.
      const { [key]: _, ...rest } = step.known;
      step = { known: rest, notices: [...step.notices, noticeOf('resolved', alert, alert.firstAt)] };
    }
  }
  return step;
}

/** @param more how often it came beside this time, untold */
function tell(known: KnownAlerts, alert: Alert & { kind: 'event' | 'condition' }, now: number, more: number): Step {
  const before = known[alert.key];
  const firstAt = before?.firstAt ?? now;
  const { key, severity, words, remedy, kind } = alert;
  const next = { key, severity, words, remedy, kind, firstAt, lastAt: now, toldAt: now, untold: 0 };
  const counted = more > 0 ? { ...alert, words: `${words} (${more + 1} times)` } : alert;
  return {
    known: { ...known, [key]: next },
    notices: [noticeOf('raised', counted, firstAt)],
  };
}

function noticeOf(what: Notice['what'], { key, severity, words, remedy }: Alert, since: number): Notice {
  return { what, key, severity, words, remedy, since };
}

function isOther(one: Alert, other: Alert): boolean {
  return one.severity !== other.severity || one.words !== other.words || one.remedy !== other.remedy;
}

function rank(severity: Severity): number {
  return severitySchema.options.indexOf(severity);
}
