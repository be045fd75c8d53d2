/** What must be so at the end of a history: what people see in Linear, held against what was asked and what the journal says. */
import { z } from 'zod';
import type { ActivityView, SessionView } from '../../dev/linear/control/views.ts';
import type { JournalEntry } from '../../src/protocol/journal.ts';

/** A history that has come to rest. */
export interface Evidence {
  /** The agent sessions as Linear shows them, oldest first. */
  threads: SessionView[];
  journal: JournalEntry[];
  /** For each life of the sandbox the CLI's lines that Cyrus said to have stored, in their order. */
  acknowledged: string[][];
  /** Ids by which people's requests are known: of threads that Linear opened, prompts and notifications. `mustBe`: each has to be in the journal. */
  asked: { mustBe: Set<string>; mayBe: Set<string> };
  /** What the session says became of requests, by the ids under which they were asked. */
  closed: { id: string; how: string }[];
  /** What Claude read, in all lives of the sandbox; a request that was handed over again has another id. */
  reads: { id: string; text: string; at: number }[];
}

export interface Verdict {
  violations: string[];
  /** Effects that were given up, as the journal says. */
  givenUp: string[];
  closings: number;
}

const OPENED_IN_VAIN = 'This was answered in another thread.';
/** What was asked before a stop, and arrived after it, has no turn. */
const STOPPED_BEFORE = 'This was asked before the work was stopped';
/** An answer to a question that is closed changes nothing, and its thread is told so. */
const ANSWERED_LATE = /^That question (?:is no longer open|was answered before), /;
const MARK = /h\d+x\d+x/g;

export function judge(evidence: Evidence): Verdict {
  const givenUp = evidence.journal.flatMap((entry) =>
    entry.kind === 'effect-failed' ? [`${entry.effect} (${entry.attempts} tries): ${entry.error}`] : [],
  );
  // The tool that waited was gone, or the sandbox: what followed from that is told in the thread.
  const isLinearQuiet = givenUp.some((what) => !/sandbox|answer to Claude/.test(what));
  const violations = [
    ...asking(evidence),
    ...ledger(evidence),
    ...stopped(evidence),
    ...toolsInTurns(evidence),
    ...lines(evidence),
    ...evidence.threads.flatMap(order),
    ...evidence.threads.flatMap(answered),
    ...owed(evidence, givenUp.length > 0),
    // What was given up after all its tries is lost for the thread, and the journal says so.
    ...(isLinearQuiet ? [] : told(evidence)),
  ];
  const closings = evidence.threads.flatMap((thread) => agents(thread).filter(isClosing)).length;
  return { violations, givenUp: isLinearQuiet ? givenUp : [], closings };
}

/** Everything that was asked is in the journal once, and nothing else is. */
function asking({ journal, asked, threads }: Evidence): string[] {
  // A thread that was looked up for a notification: Linear's own event about it is the same request.
  const isExpected = (id: string) =>
    journal.some((entry) => entry.kind === 'prompt' && entry.agentSessionId === id && asked.mayBe.has(entry.promptId));
  const context = () => `${threads.map(story).join(' || ')} | ${journalStory(journal)}`;
  const prompts = journal.flatMap((entry) => (entry.kind === 'prompt' ? [entry.promptId] : []));
  const twice = prompts.filter((id, index) => prompts.indexOf(id) !== index);
  return [
    ...twice.map((id) => `the prompt ${id} was taken in twice`),
    ...[...asked.mustBe]
      .filter((id) => !prompts.includes(id) && !isExpected(id))
      .map((id) => `the prompt ${id} was lost: ${context()}`),
    ...prompts
      .filter((id) => !asked.mustBe.has(id) && !asked.mayBe.has(id))
      .map((id) => `nobody asked the prompt ${id}: ${context()}`),
  ];
}

/** The session remembers no more closed requests than this. */
const MOST_CLOSED = 30;

/** Each request that a turn began with was closed once; and what was answered had been read by Claude. */
function ledger({ journal, closed, reads, threads }: Evidence): string[] {
  const context = () => `${threads.map(story).join(' || ')} | ${journalStory(journal)}`;
  const prompts = new Map(journal.flatMap((entry) => (entry.kind === 'prompt' ? [[entry.promptId, entry.text]] : [])));
  const begun = new Set(journal.flatMap((entry) => (entry.kind === 'turn-started' ? entry.promptIds : [])));
  const ids = closed.map(({ id }) => id);
  const isRead = (id: string) => {
    const text = prompts.get(id);
    return reads.some((one) => one.id === id || (text !== undefined && one.text.includes(text)));
  };
  // What answers a question is no request of its own, also where it has to be asked again with the next turn.
  const answers = answersIn(journal);
  const missing = [...begun].filter((id) => prompts.has(id) && !ids.includes(id) && !answers.has(id));
  return [
    ...ids
      .filter((id, index) => ids.indexOf(id) !== index)
      .map((id) => `the request ${id} was closed twice: ${context()}`),
    ...(closed.length < MOST_CLOSED ? missing : []).map((id) => `the request ${id} was never closed: ${context()}`),
    ...closed
      // What Cyrus itself tells Claude, e.g. of a change of the issue, is not in the journal with its words.
      .filter(({ id, how }) => how === 'answered' && prompts.has(id) && !isRead(id))
      .map(({ id }) => `the request ${id} was answered and never read: ${context()}`),
  ];
}

/** Ids of prompts that came while a question was open. */
function answersIn(journal: JournalEntry[]): Set<string> {
  const answers = new Set<string>();
  let isAsking = false;
  for (const entry of journal) {
    if (entry.kind === 'question') isAsking = true;
    else if (entry.kind === 'turn-ended') isAsking = false;
    else if (entry.kind === 'prompt' && isAsking) {
      answers.add(entry.promptId);
      isAsking = false;
    }
  }
  return answers;
}

/** Ids of answers that came when their question was closed: no turn owes them an answer. */
function lateAnswersIn(journal: JournalEntry[]): Set<string> {
  return new Set(
    journal.flatMap((entry, index) => {
      const next = journal[index + 1];
      const isLate = entry.kind === 'prompt' && next?.kind === 'notice' && ANSWERED_LATE.test(next.text);
      return isLate ? [entry.promptId] : [];
    }),
  );
}

/**
 * Ids of prompts that arrived after a stop which they preceded: each is told so, and no turn owes them an answer, also where one was
 * under way by then. How many there were the thread tells; which, what was asked before the latest stop and no turn began with.
 */
function overtakenIn({ threads, journal }: Pick<Evidence, 'threads' | 'journal'>): Set<string> {
  const begun = new Set(journal.flatMap((entry) => (entry.kind === 'turn-started' ? entry.promptIds : [])));
  const stops = threads
    .flatMap((thread) => thread.activities)
    .flatMap(({ signal, createdAt }) => (signal === 'stop' ? [Date.parse(createdAt)] : []));
  const latest = Math.max(0, ...stops);
  const isStop = (entry: JournalEntry) =>
    entry.kind === 'stop-requested' || (entry.kind === 'turn-ended' && entry.outcome === 'stopped');
  const firstStop = journal.find(isStop)?.seq ?? 0;
  return new Set(
    threads.flatMap((thread) => {
      const told = agents(thread).filter(
        ({ content }) => 'body' in content && content.body.startsWith(STOPPED_BEFORE),
      ).length;
      const askedAt = new Map(thread.activities.map(({ id, createdAt }) => [id, Date.parse(createdAt)]));
      askedAt.set(thread.id, Date.parse(thread.createdAt));
      const late = journal.flatMap((entry) => {
        if (entry.kind !== 'prompt' || entry.agentSessionId !== thread.id || entry.seq < firstStop) return [];
        if (begun.has(entry.promptId)) return [];
        // What only a notification told of was asked by then, too.
        const isEarly = (askedAt.get(entry.promptId) ?? 0) <= latest || stops.length === 0;
        return isEarly ? [entry.promptId] : [];
      });
      return told === 0 ? [] : late.slice(0, told);
    }),
  );
}

/** Nothing that was asked before a stop is begun once the stop was carried out. Times by the run's clock. */
function stopped({ threads, journal, reads }: Evidence): string[] {
  const activities = threads.flatMap((thread) => thread.activities);
  const stops = activities.filter(({ signal }) => signal === 'stop').map(({ createdAt }) => Date.parse(createdAt));
  const carriedOut = journal.filter(({ kind }) => kind === 'stop-requested').map((entry) => endOfStop(journal, entry));
  const last = Math.max(...carriedOut);
  return stops.flatMap((stop) => {
    // Which of several is which, the journal does not say.
    const end = carriedOut.length === 1 ? (carriedOut[0] ?? last) : last;
    const before = activities.filter(
      ({ type, signal, createdAt }) => type === 'prompt' && signal === null && Date.parse(createdAt) < stop,
    );
    const ids = new Set([
      ...before.map(({ id }) => id),
      ...threads.filter(({ createdAt }) => Date.parse(createdAt) < stop).map(({ id }) => id),
    ]);
    return reads
      .filter(({ id, at }) => ids.has(id) && at > end && end >= stop)
      .map(
        ({ id, at }) =>
          `the request ${id} was begun ${at - end} ms after a stop that came after it: ${threads.map(story).join(' || ')} | ${journalStory(journal)}`,
      );
  });
}

/** When people were told that a stop is carried out: with the end of the turn that it met, or at once. */
function endOfStop(journal: JournalEntry[], stop: JournalEntry): number {
  const next = journal.find(({ kind, seq }) => seq > stop.seq && (kind === 'turn-started' || kind === 'turn-ended'));
  return next?.kind === 'turn-ended' ? next.at : stop.at;
}

/** No tool runs while people are told that nothing does. */
function toolsInTurns({ threads, journal }: Evidence): string[] {
  let isRunning = false;
  return journal.flatMap((entry) => {
    if (entry.kind === 'turn-started') isRunning = true;
    if (entry.kind === 'turn-ended') isRunning = false;
    if (entry.kind !== 'tool-call' || isRunning) return [];
    return [
      `the call ${entry.toolUseId} ran outside of a turn: ${threads.map(story).join(' || ')} | ${journalStory(journal)}`,
    ];
  });
}

/** A thread's last word is the agent's answer, and there are no more answers than requests. */
function answered(thread: SessionView): string[] {
  const name = `thread ${thread.id}`;
  const last = thread.activities.findLast((activity) => !activity.ephemeral);
  if (!last || !isClosing(last)) return [`${name} ends without an answer: ${story(thread)}`];
  let open = 1;
  for (const activity of thread.activities) {
    if (activity.type === 'prompt') open += 1;
    // A turn that nobody asked for may ask, and then answers where it asked.
    if (activity.type === 'elicitation' && open === 0) open = 1;
    if (isClosing(activity)) open -= 1;
    if (open < 0) return [`${name} was answered more often than it was asked: ${story(thread)}`];
  }
  return [];
}

/** The number of closing activities of each thread is that which follows from the journal's turns. */
function owed({ threads, journal }: Evidence, isSandboxGivenUp: boolean): string[] {
  const overtakenOnes = overtakenIn({ threads, journal });
  const { byThread, stopsOutside, open, unaskedQuestions, unasked } = turnsOf(journal, overtakenOnes);
  const threadOf = threadsByPrompt(journal);
  const lateAnswers = new Map<string, number>();
  for (const id of lateAnswersIn(journal)) {
    const thread = threadOf.get(id);
    if (thread !== undefined) lateAnswers.set(thread, (lateAnswers.get(thread) ?? 0) + 1);
  }
  const violations = open ? ['a turn in the journal never ended'] : [];
  for (const thread of threads) {
    const closings = agents(thread).filter(isClosing).length;
    // A thread that Cyrus opened and does not use is told so.
    const vain = agents(thread).some(({ content }) => 'body' in content && content.body.startsWith(OPENED_IN_VAIN));
    const closingWords = agents(thread).flatMap((activity) =>
      isClosing(activity) && 'body' in activity.content ? [activity.content.body] : [],
    );
    const overtaken = closingWords.filter((body) => body.startsWith(STOPPED_BEFORE)).length;
    const late = closingWords.filter((body) => ANSWERED_LATE.test(body)).length;
    if (late > (lateAnswers.get(thread.id) ?? 0)) {
      violations.push(`thread ${thread.id} was told of more late answers than came: ${story(thread)}`);
    }
    const turns = (byThread.get(thread.id) ?? 0) + Number(vain) + overtaken + late;
    const least = turns + (threads.length === 1 ? stopsOutside : 0);
    const stops = thread.activities.filter(({ signal }) => signal === 'stop').length;
    const most =
      threads.length === 1 && !isSandboxGivenUp
        ? least + unasked
        : least + stops + unaskedQuestions + unasked + (isSandboxGivenUp ? 5 : 0);
    if (closings >= least && closings <= most) continue;
    violations.push(
      `thread ${thread.id} has ${closings} closing activities where the journal has ${least === most ? least : `${least} to ${most}`}: ${story(thread)} | ${journalStory(journal)}`,
    );
  }
  return violations;
}

/** How many turns owe each thread an answer; and how many stops came when nothing ran. */
function turnsOf(
  journal: JournalEntry[],
  overtaken: Set<string>,
): {
  byThread: Map<string, number>;
  stopsOutside: number;
  open: boolean;
  /** Turns that no thread asked for and that put a question. */
  unaskedQuestions: number;
  /** Turns that Claude began unasked. What it reads in one is answered by it, which the journal does not show. */
  unasked: number;
  /** Marks of answers to what no thread asked. */
  unheard: Set<string>;
} {
  const threadOf = threadsByPrompt(journal);
  const byThread = new Map<string, number>();
  const unheard = new Set<string>();
  let answers: string[] = [];
  /** What Claude said last before a failure is told with it: to nobody, if nobody asked. */
  let lastWords: string[] = [];
  let turn: Set<string> | null = null;
  let stopsOutside = 0;
  let stopsInside = 0;
  /** Whether a turn that no thread asked for put a question, in one of the threads, and closes there. */
  let isAsking = false;
  let unaskedQuestions = 0;
  const starts = journal.filter((entry) => entry.kind === 'turn-started');
  const lateAnswers = lateAnswersIn(journal);
  for (const entry of journal) {
    if (entry.kind === 'turn-started') turn = new Set(entry.promptIds);
    else if (entry.kind === 'prompt') {
      if (!lateAnswers.has(entry.promptId) && !overtaken.has(entry.promptId)) turn?.add(entry.promptId);
    } else if (entry.kind === 'question' && turn && ![...turn].some((id) => threadOf.has(id))) isAsking = true;
    else if (entry.kind === 'text') lastWords = marksIn(entry.text);
    else if (entry.kind === 'result') answers.push(...marksIn(entry.text), ...lastWords);
    else if (entry.kind === 'stop-requested' && turn === null) stopsOutside += 1;
    else if (entry.kind === 'stop-requested') stopsInside += 1;
    else if (entry.kind === 'turn-ended' && turn !== null) {
      // What the next turn begins with was not answered by this one.
      const next = starts.find(({ seq }) => seq > entry.seq);
      const answered = [...turn].filter((id) => !next?.promptIds.includes(id));
      const asking = new Set(answered.flatMap((id) => threadOf.get(id) ?? []));
      for (const thread of asking) byThread.set(thread, (byThread.get(thread) ?? 0) + 1);
      if (asking.size === 0) for (const mark of answers) unheard.add(mark);
      // Who stops what nobody asked for is told that it was stopped.
      if (asking.size === 0 && stopsInside > 0) stopsOutside += 1;
      stopsInside = 0;
      answers = [];
      if (isAsking) unaskedQuestions += 1;
      isAsking = false;
      turn = null;
    }
  }
  const unasked = starts.filter(({ promptIds }) => promptIds.length === 0).length;
  return { byThread, stopsOutside, open: turn !== null, unaskedQuestions, unasked, unheard };
}

function threadsByPrompt(journal: JournalEntry[]): Map<string, string> {
  const threadOf = new Map<string, string>();
  for (const entry of journal) {
    if (entry.kind === 'prompt' && entry.agentSessionId !== null) threadOf.set(entry.promptId, entry.agentSessionId);
  }
  return threadOf;
}

/** What Claude said and did is told once in a thread, and in the order in which it happened. */
function order(thread: SessionView): string[] {
  const lasting = agents(thread).filter((activity) => !activity.ephemeral);
  const marks = (activities: ActivityView[]) =>
    activities.flatMap((activity) => marksIn(JSON.stringify(activity.content)).slice(0, 1));
  const told = marks(lasting);
  const twice = told.filter((mark, index) => told.indexOf(mark) !== index);
  // An answer is told once the work is saved; Claude may be at the next request by then.
  const isDisordered =
    !isRising(marks(lasting.filter((activity) => !isClosing(activity)))) || !isRising(marks(lasting.filter(isClosing)));
  return [
    ...twice.map((mark) => `${mark} was posted twice in thread ${thread.id}: ${story(thread)}`),
    ...(isDisordered ? [`thread ${thread.id} is out of order: ${told.join(' ')}`] : []),
  ];
}

/** Marks are numbered as the lines were printed. */
function isRising(marks: string[]): boolean {
  const numbers = marks.map((mark) => Number(mark.split('x')[1]));
  return numbers.every((number, index) => number >= (numbers[index - 1] ?? 0));
}

/** What the journal has of a turn that somebody asked for is told in a thread. */
function told({ threads, journal }: Evidence): string[] {
  const seen = new Set(
    threads.flatMap((thread) =>
      agents(thread).flatMap((activity) => (activity.ephemeral ? [] : marksIn(JSON.stringify(activity.content)))),
    ),
  );
  const threadOf = threadsByPrompt(journal);
  const { unheard } = turnsOf(journal, overtakenIn({ threads, journal }));
  const isAskedFor = (entry: JournalEntry) =>
    entry.kind === 'turn-started' && entry.promptIds.some((id) => threadOf.has(id));
  const missing: string[] = [];
  let calls: Set<string> | null = null;
  for (const entry of journal) {
    if (entry.kind === 'turn-started') calls = isAskedFor(entry) ? new Set() : null;
    else if (entry.kind === 'result' && calls !== null) {
      // What comes after the answer belongs to the next turn, which nobody may have asked for.
      const next = journal.find(({ kind, seq }) => kind === 'turn-started' && seq > entry.seq);
      if (!next || !isAskedFor(next)) calls = null;
    } else if (entry.kind === 'turn-ended') calls = null;
    if (calls === null) continue;
    if (entry.kind === 'tool-call' && entry.name === 'Bash') calls.add(entry.toolUseId);
    const isTold = entry.kind === 'text' || (entry.kind === 'tool-result' && calls.has(entry.toolUseId));
    if (!isTold) continue;
    const [mark] = marksIn(entry.text);
    if (mark && !seen.has(mark) && !unheard.has(mark)) missing.push(`${entry.kind} ${mark}`);
  }
  return missing.map(
    (mark) =>
      `${mark} is in the journal and in no thread: ${threads.map(story).join(' || ')} | ${journalStory(journal)}`,
  );
}

/** What the sandbox was told to be stored is in the journal once, in its order. */
function lines({ journal, acknowledged }: Evidence): string[] {
  const kept = journal.flatMap((entry) => {
    switch (entry.kind) {
      case 'text':
      case 'tool-result':
      case 'result':
        return marksIn(entry.text)
          .slice(0, 1)
          .map((mark) => `${entry.kind} ${mark}`);
      case 'tool-call':
        return [`tool-call ${entry.toolUseId.replace('toolu_', '')}`];
      default:
        return [];
    }
  });
  const twice = kept.filter((line, index) => kept.indexOf(line) !== index);
  const stored = acknowledged.flat().flatMap(nameOfLine);
  const known = new Set(kept);
  return [
    ...twice.map((line) => `${line} is in the journal twice`),
    ...stored.filter((line) => !known.has(line)).map((line) => `${line} was acknowledged and is not in the journal`),
  ];
}

const lineSchema = z.object({
  type: z.string(),
  message: z.object({ content: z.array(z.object({ type: z.string() })) }).optional(),
});

function nameOfLine(line: string): string[] {
  const { type, message } = lineSchema.parse(JSON.parse(line));
  const [mark] = marksIn(line);
  if (!mark) return [];
  const block = message?.content[0]?.type;
  const kinds: Record<string, string> = { text: 'text', tool_use: 'tool-call', tool_result: 'tool-result' };
  const kind = type === 'result' ? 'result' : kinds[block ?? ''];
  return kind ? [`${kind} ${mark}`] : [];
}

function marksIn(text: string): string[] {
  return text.match(MARK) ?? [];
}

function agents(thread: SessionView): ActivityView[] {
  return thread.activities.filter(({ type }) => type !== 'prompt');
}

function isClosing({ type }: ActivityView): boolean {
  return type === 'response' || type === 'error';
}

/** A thread in one line, for the search for the cause. */
function story({ activities }: SessionView): string {
  return activities
    .filter(({ ephemeral }) => !ephemeral)
    .map(({ type, content, signal }) => {
      const words = 'body' in content ? content.body.replace(/\s+/g, ' ').slice(0, 40) : content.parameter.slice(-12);
      return `${signal ?? type}(${words})`;
    })
    .join(' → ');
}

/** The journal in one line, for people who look for the cause. */
export function journalStory(journal: JournalEntry[]): string {
  return journal
    .flatMap((entry) => {
      switch (entry.kind) {
        case 'prompt':
          return [`prompt(${entry.promptId.slice(0, 4)} in ${entry.agentSessionId?.slice(0, 4)})`];
        case 'turn-started':
          return [`turn ${entry.turn}(${entry.promptIds.map((id) => id.slice(0, 4)).join(' ')})`];
        case 'turn-ended':
          return [`ended(${entry.reason})`];
        case 'text':
        case 'tool-result':
        case 'result':
          return [`${entry.kind}(${marksIn(entry.text)[0] ?? ''})`];
        case 'stop-requested':
        case 'question':
        case 'saved':
        case 'pull-request':
        case 'branch-link':
          return [entry.kind];
        case 'notice':
        case 'effect-failed':
          return [`${entry.kind}(${'text' in entry ? entry.text.slice(0, 40) : entry.effect})`];
        default:
          return [];
      }
    })
    .join(' → ');
}
