/**
 * Mode `cli` of `npm run chaos:sandbox`: Claude's process alone is killed with -9 at random moments, from its first seconds on,
 * while people comment and stop. The sandbox server and its disk stay. What has to be true of each task is in `judgeCli`.
 */
import type { LinearSimulator } from '../../dev/linear/simulator.ts';
import type { JournalEntry } from '../../src/protocol/journal.ts';
import { isNumberedWithoutGaps } from '../e2e/cyrus-session.ts';
import { isClosing, LinearThread } from '../e2e/linear-thread.ts';
import { holds, until } from '../e2e/run.ts';
import type { Random } from '../unit/support/random.ts';
import type { Machines } from './sandbox-machines.ts';

/** Kills of one task at most. */
const MAX_KILLS = 5;
const TASK_LIMIT_MS = 5 * 60_000;

/** Something that a person wrote in the thread of a task. */
interface Said {
  /** Found in what Claude read, and nowhere else. */
  words: string;
  /** Ms since the epoch. */
  at: number;
}

export interface CliTask {
  thread: LinearThread;
  said: Said[];
  /** When stops were pressed. */
  stops: number[];
  kills: number;
}

export interface CliFigures {
  kills: number;
  comments: number;
  stops: number;
  /** Comments that Claude read; the others were told why not. */
  read: number;
}

export interface CliStage {
  linear: LinearSimulator;
  machines: Machines;
  random: Random;
  /** Rounds, and ms of thought before each call. */
  rounds: number;
  thought: number;
  /** Whether more kills are wanted; takes one. */
  takeKill: () => boolean;
  /** A kill that found no process is none. */
  giveBack: () => void;
}

/** Plays one task to its end. @throws Unkept where something is not as it has to be */
export async function playCli(stage: CliStage, number: number): Promise<CliFigures> {
  const { linear, machines, random, rounds, thought } = stage;
  const begun = `[script: chaos ${rounds} ${thought} /dev/null]`;
  const task: CliTask = {
    thread: LinearThread.assign(linear, `Task ${number} (cli)`, begun),
    said: [],
    stops: [],
    kills: 0,
  };
  const session = await task.thread.livePage();
  const say = (text: string) => {
    const words = `remark-${number}-${task.said.length + 1}-end`;
    task.said.push({ words, at: Date.now() });
    linear.replyToSession(
      task.thread.session.id,
      text === begun ? `${text} (${words})` : `${text} (${words}) [script: no-change]`,
    );
  };
  while (task.kills < MAX_KILLS && stage.takeKill()) {
    await pause(random.next() * 3_000);
    if (random.chance(0.6)) say('One more thing');
    if (random.chance(0.2)) {
      task.stops.push(Date.now());
      linear.stopSession(task.thread.session.id);
      if (random.chance(0.5)) say('And now this');
    }
    await pause(random.next() * 400);
    const isKilled = await machines.killCli(session.id);
    if (isKilled) task.kills += 1;
    else stage.giveBack();
    if (random.chance(0.4)) say('Right after that');
    const { session: view } = await session.read();
    // What was stopped goes on with what is said next.
    if (view.phase === 'waiting') say(begun);
    // Three losses in a row end a turn, as they should: a call has to finish in between.
    if (isKilled) await recovered(session.read.bind(session), Date.now());
  }
  await until(
    `the end of task ${number}`,
    async () => (await session.read()).session.phase === 'waiting' && isAnswered(task.thread),
    { limitMs: TASK_LIMIT_MS, everyMs: 250, describe: () => task.thread.shown.slice(-3) },
  );
  // Whatever would still begin by itself.
  await pause(1_500);
  const { entries } = await session.read();
  const read = await machines.conversation(session.id);
  const figures = judgeCli(task, entries, read);
  await machines.end(session.id);
  return figures;
}

type Page = { session: { phase: string }; entries: JournalEntry[] };

async function recovered(read: () => Promise<Page>, since: number): Promise<void> {
  await until(
    'Claude to be back at work',
    async () => {
      const { session, entries } = await read();
      return session.phase === 'waiting' || entries.some(({ kind, at }) => kind === 'tool-result' && at > since);
    },
    { limitMs: TASK_LIMIT_MS, everyMs: 150, describe: () => 'no call has finished since the kill' },
  );
}

function isAnswered(thread: LinearThread): boolean {
  const last = thread.activities.filter((one) => one.type === 'prompt' || isClosing(one)).at(-1);
  return last !== undefined && last.type !== 'prompt';
}

/**
 * @param conversation lines of the transcripts of Claude's conversation, as they are on the disk
 * @throws Unkept
 */
export function judgeCli(task: CliTask, entries: readonly JournalEntry[], conversation: readonly string[]): CliFigures {
  isNumberedWithoutGaps(entries);
  const { thread, said, stops, kills } = task;
  holds('The thread is not owed an answer', isAnswered(thread), 'a closing answer at the end', thread.shown.slice(-4));
  // No tool runs while people are told that nothing does.
  let isRunning = false;
  for (const entry of entries) {
    if (entry.kind === 'turn-started') isRunning = true;
    if (entry.kind === 'turn-ended') isRunning = false;
    if (entry.kind === 'tool-call') holds('A tool runs within a turn', isRunning, 'a turn under way', entry);
  }
  const ended = entries.filter((entry) => entry.kind === 'turn-ended');
  for (const { outcome, text } of ended) holds('No turn is given up', outcome !== 'failed', 'completed, stopped', text);
  // Every comment is in Claude's conversation, unless a stop came after it.
  const heard = said.map((one) => ({ ...one, lines: conversation.filter((line) => isRead(line, one.words)) }));
  for (const { words, at, lines } of heard) {
    const isStopped = stops.some((stop) => stop >= at);
    holds('A comment is read, or was stopped', lines.length > 0 || isStopped, words, thread.shown.slice(-6));
    const ids = new Set(lines.map(idOf));
    holds(
      `Claude has "${words}" once at most`,
      ids.size <= 1,
      'one prompt',
      lines.map((line) => line.slice(0, 400)),
    );
  }
  // What was asked before a stop does not begin once that was carried out.
  for (const stop of stops) {
    const confirmed = entries.find((entry) => entry.kind === 'turn-ended' && entry.at > stop)?.at;
    if (confirmed === undefined) continue;
    for (const { words, at, lines } of heard.filter((one) => one.at < stop)) {
      const late = lines.filter((line) => timeOf(line) > confirmed);
      holds('Nothing asked before a stop begins after it', late.length === 0, { words, at, stop, confirmed }, late);
    }
  }
  return {
    kills,
    comments: said.length,
    stops: stops.length,
    read: heard.filter(({ lines }) => lines.length > 0).length,
  };
}

/** A line of the transcript by which Claude has a person's words; those that only wait are in `queue-operation` lines. */
function isRead(line: string, words: string): boolean {
  // What Claude wrote or ran may quote it.
  if (
    !line.includes(words) ||
    line.includes('"tool_result"') ||
    line.includes('"type":"queue-operation"') ||
    line.includes('"type":"last-prompt"')
  )
    return false;
  return line.includes('"type":"user"') || line.includes('"type":"attachment"');
}

/** The prompt that a line of the transcript is about: a later line may hold a copy of an earlier one. */
function idOf(line: string): string | undefined {
  return /"source_uuid":"([^"]+)"/.exec(line)?.[1] ?? /"uuid":"([^"]+)"/.exec(line)?.[1];
}

function timeOf(line: string): number {
  const found = /"timestamp":"([^"]+)"/.exec(line)?.[1];
  return found === undefined ? 0 : Date.parse(found);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
