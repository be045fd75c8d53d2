/** What has to be true of a task that was disturbed, and the figures of it. */
import type { JournalEntry } from '../../src/protocol/journal.ts';
import { isNumberedWithoutGaps } from '../e2e/cyrus-session.ts';
import { holds, same } from '../e2e/run.ts';

/** What was done to a task. */
export interface Disturbance {
  /** `ms` since the epoch. */
  at: number;
  kind: 'process' | 'disk' | 'worker' | 'worker-and-process' | 'worker-and-disk';
}

/** Figures of one task. */
export interface TaskFigures {
  kills: number;
  /** Batches (of one call each) that had finished, and were done again. */
  repeatedBatches: number;
  /** Commands that were carried out more often than in an undisturbed run. */
  repeatedEffects: number;
  /** From the line in the journal that tells of a loss until Claude is back, in ms. */
  restoredMs: number[];
  /** From a kill until the line that tells of it. */
  noticedMs: number[];
}

type Calls = { name: string; input: unknown }[];

/**
 * Judges a task that has ended; its calls are given without what differs from task to task.
 * @param undisturbed the calls of a run that nobody disturbed, in order, and what was carried out, one line each
 * @throws Unkept
 */
export function judge(
  entries: readonly JournalEntry[],
  disturbances: readonly Disturbance[],
  undisturbed: { calls: Calls; tree: string; ledger: string[] },
  seen: { tree: string; ledger: string[] },
): TaskFigures {
  isNumberedWithoutGaps(entries);
  const calls = entries.filter((entry) => entry.kind === 'tool-call');
  const ids = calls.map((call) => call.toolUseId);
  same('Each call is in the journal once', ids.length, new Set(ids).size);
  const results = entries.filter((entry) => entry.kind === 'tool-result').map((entry) => entry.toolUseId);
  same('Each result is in the journal once', results.length, new Set(results).size);
  holds(
    'Each result has its call',
    results.every((id) => ids.includes(id)),
    ids,
    results,
  );
  const ended = entries.filter((entry) => entry.kind === 'turn-ended');
  same(
    'How the turns ended',
    ended.map(({ outcome }) => outcome),
    ['completed'],
  );
  same('What people asked', entries.filter((entry) => entry.kind === 'prompt').length, 1);
  same('The final tree', seen.tree, undisturbed.tree);
  const words = (call: { name: string; input: unknown }) => `${call.name} ${JSON.stringify(call.input)}`;
  const wanted = countOf(undisturbed.calls.map(words));
  const made = countOf(calls.map(words));
  for (const call of wanted.keys()) holds('No call is missing', made.has(call), call, [...made.keys()]);
  const failed = new Set(
    entries.flatMap((entry) => (entry.kind === 'tool-result' && entry.isError ? [entry.toolUseId] : [])),
  );
  const finished = calls.filter((call) => results.includes(call.toolUseId) && !failed.has(call.toolUseId));
  let repeatedBatches = 0;
  // A file is read again before it is written again: that repeats nothing.
  for (const [call, times] of countOf(finished.filter(({ name }) => name !== 'Read').map(words))) {
    repeatedBatches += Math.max(0, times - (wanted.get(call) ?? 0));
  }
  const repeatedEffects = seen.ledger.length - undisturbed.ledger.length;
  same('What was carried out at least once', [...new Set(seen.ledger)].sort(), [...new Set(undisturbed.ledger)].sort());
  const kills = disturbances.length;
  // A batch whose result was lost on its way is made again, and with it at most the one that was under way.
  holds('At most one batch is repeated for each kill', repeatedBatches <= kills, kills, repeatedBatches);
  holds('At most one effect is repeated for each kill', repeatedEffects <= kills, kills, repeatedEffects);
  return { kills, repeatedBatches, repeatedEffects, ...times(entries, disturbances) };
}

function times(entries: readonly JournalEntry[], disturbances: readonly Disturbance[]) {
  const restoredMs: number[] = [];
  const noticedMs: number[] = [];
  const losses = entries.filter(
    (entry) => entry.kind === 'notice' && /lost|ended unexpectedly|dropped/.test(entry.text),
  );
  for (const loss of losses) {
    const back = entries.find((entry) => entry.kind === 'claude-started' && entry.seq > loss.seq);
    const again = disturbances.some(({ at }) => at > loss.at && at < (back?.at ?? 0));
    if (back && !again) restoredMs.push(back.at - loss.at);
    const kill = disturbances.findLast(({ at }) => at <= loss.at);
    if (kill) noticedMs.push(loss.at - kill.at);
  }
  return { restoredMs, noticedMs };
}

function countOf(items: string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1);
  return counts;
}
