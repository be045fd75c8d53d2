/**
 * `npm run replay FILE [-- --json]`: the contributor's microscope. Prints what each line of a captured CLI stream
 * becomes: journal entries, what goes to viewers live, why a line adds nothing, and the activities Linear would get.
 */
import { closeSync, createReadStream, openSync, readSync, statSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs, styleText } from 'node:util';
import { initialReaderState, type Live, type ReadLine, readLine } from '../src/claude/stream.ts';
import { describeResult } from '../src/claude/words.ts';
import { messageOf } from '../src/lib/error.ts';
import type { JournalBody } from '../src/protocol/journal.ts';
import type { Message } from '../src/session/lifecycle/model/messages.ts';
import { initialNarration } from '../src/session/lifecycle/model/narration.ts';
import { narrate } from '../src/session/lifecycle/narration/narrate.ts';

const USAGE = 'Usage: npm run replay FILE    (npm run replay -- --json FILE prints entries whole)';
/** Width a line of output is cut to; a terminal's own if there is one. */
const WIDTH = Math.max(60, process.stdout.columns ?? 160);
/** Width of the column of line numbers. */
const LABEL = 9;

type Colour = 'dim' | 'cyan' | 'green' | 'red';

/** The file cannot be replayed; the message is one line that says why. */
class ReplayError extends Error {
  override readonly name = 'ReplayError';
}

interface Totals {
  lines: number;
  entries: Map<string, number>;
  live: Map<string, number>;
  redundant: number;
  activities: Map<string, number>;
}

async function main(): Promise<void> {
  const { file, json } = readArguments();
  checkFile(file);
  const totals: Totals = { lines: 0, entries: new Map(), live: new Map(), redundant: 0, activities: new Map() };
  let state = initialReaderState;
  let narration = initialNarration;
  const quiet = new QuietRun();
  const input = createInterface({ input: createReadStream(file, 'utf8'), crlfDelay: Number.POSITIVE_INFINITY });
  for await (const line of input) {
    totals.lines += 1;
    const step = readLine(state, line);
    state = step.state;
    count(totals, step.read);
    const activities: Message[] = [];
    for (const { body } of step.read.entries) {
      for (const told of [body, ...endingOf(body)]) {
        const next = narrate(narration, told);
        narration = next.state;
        activities.push(...next.activities);
      }
    }
    for (const activity of activities)
      add(totals.activities, activity.content.type + (activity.ephemeral ? ' (ephemeral)' : ''));
    if (json) {
      print(asJson({ line: totals.lines, ...step.read, activities }));
      continue;
    }
    if (step.read.entries.length === 0 && activities.length === 0) {
      quiet.add(totals.lines, step.read);
      continue;
    }
    quiet.flush();
    printLine(totals.lines, step.read, activities);
  }
  quiet.flush();
  if (json) print(asJson(totalsAsJson(totals)));
  else printTotals(totals);
}

function readArguments(): { file: string; json: boolean } {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { json: { type: 'boolean', default: false } },
    });
    const [file, ...more] = positionals;
    if (file === undefined || more.length > 0) throw new ReplayError(USAGE);
    return { file, json: values.json };
  } catch (error) {
    if (error instanceof ReplayError) throw error;
    throw new ReplayError(`${messageOf(error)} ${USAGE}`);
  }
}

/** Refuses what cannot be a file of lines before anything is printed. */
function checkFile(file: string): void {
  const found = statSync(file, { throwIfNoEntry: false });
  if (found === undefined) throw new ReplayError(`${file}: no such file. ${USAGE}`);
  if (found.isDirectory()) throw new ReplayError(`${file} is a directory; name one file of captured lines in it.`);
  if (!found.isFile()) return;
  const start = Buffer.alloc(8192);
  const descriptor = openSync(file, 'r');
  const length = readSync(descriptor, start, 0, start.length, 0);
  closeSync(descriptor);
  if (start.subarray(0, length).includes(0)) {
    throw new ReplayError(
      `${file} is a binary file; replay reads the lines Claude Code printed, one JSON object each.`,
    );
  }
}

/** A stand-in for the `turn-ended` that the lifecycle writes once the work is saved, so that the narration is complete. */
function endingOf(body: JournalBody): JournalBody[] {
  if (body.kind !== 'result') return [];
  const { durationMs, usage, costUsd, numTurns, truncatedFrom } = body;
  return [{ kind: 'turn-ended', ...describeResult(body), durationMs, usage, costUsd, numTurns, truncatedFrom }];
}

/** Consecutive lines without entries are summed up in one line. */
class QuietRun {
  #first = 0;
  #last = 0;
  #what = new Map<string, number>();
  #characters = 0;

  add(number: number, read: ReadLine): void {
    if (this.#first === 0) this.#first = number;
    this.#last = number;
    for (const item of read.live) {
      add(this.#what, liveText(item));
      if (item.type === 'delta') this.#characters += item.text.length;
    }
    if (read.redundant !== undefined) add(this.#what, `nothing new (${read.redundant})`);
  }

  flush(): void {
    if (this.#first === 0) return;
    const numbers = this.#first === this.#last ? `${this.#first}` : `${this.#first}-${this.#last}`;
    const characters = this.#characters > 0 ? ` [${this.#characters} characters]` : '';
    const words = [...this.#what].map(([what, times]) => (times > 1 ? `${times} × ${what}` : what)).join(', ');
    print(paint('dim', shortened(`${numbers.padStart(LABEL)}  ${words}${characters}`, WIDTH)));
    this.#first = 0;
    this.#what = new Map();
    this.#characters = 0;
  }
}

function printLine(number: number, read: ReadLine, activities: Message[]): void {
  let label = String(number);
  const row = (colour: Colour, name: string, words: string) => {
    const start = `${label.padStart(LABEL)}  `;
    print(`${start}${paint(colour, name)}  ${shortened(words, WIDTH - start.length - name.length - 2)}`);
    label = '';
  };
  for (const { body, block } of read.entries) {
    const name = block === undefined ? body.kind : `${body.kind} (streamed)`;
    row(body.kind === 'unknown' ? 'red' : 'cyan', name, entryText(body));
  }
  for (const item of read.live) row('dim', 'live', liveText(item));
  for (const { content, ephemeral } of activities) {
    const words =
      content.type === 'action'
        ? `${content.action} | ${content.parameter}${content.result === undefined ? '' : ` | ${content.result}`}`
        : content.body;
    row('green', `→ Linear ${content.type}${ephemeral ? ' (ephemeral)' : ''}`, oneLine(words));
  }
}

/** One line about an entry: what it holds besides its kind. */
function entryText(body: JournalBody): string {
  const { kind: _, ...rest } = body;
  switch (body.kind) {
    case 'text':
    case 'thinking':
    case 'notice':
      return oneLine(body.text);
    case 'tool-call':
      return oneLine(`${body.name} ${JSON.stringify(body.input)}`);
    case 'tool-result':
      return oneLine(`${body.isError ? 'error: ' : ''}${body.edit ? `${body.edit.path}: ` : ''}${body.text}`);
    case 'claude-started':
      return oneLine(`${body.model}, ${body.version}, ${body.cwd}, ${body.tools.length} tools`);
    case 'result': {
      const { outcome, reason } = describeResult(body);
      return oneLine(`${outcome} (${reason}) ${body.text}`);
    }
    case 'unknown':
      return oneLine(`${body.type}: ${body.raw}`);
    default:
      return oneLine(JSON.stringify(rest));
  }
}

function liveText(item: Live): string {
  switch (item.type) {
    case 'open':
      return `opens ${item.kind}${item.name === undefined ? '' : ` ${item.name}`}`;
    case 'delta':
      return 'delta';
    case 'drop':
      return 'drop';
    case 'activity':
      return item.what;
    case 'usage':
      return 'usage';
  }
}

function count(totals: Totals, read: ReadLine): void {
  for (const { body } of read.entries) add(totals.entries, body.kind);
  for (const item of read.live) add(totals.live, item.type);
  if (read.redundant !== undefined) totals.redundant += 1;
}

function add(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

function printTotals(totals: Totals): void {
  const listed = (counts: Map<string, number>) =>
    [...counts].map(([name, times]) => `${times} ${name}`).join(', ') || 'none';
  print('');
  print(`Lines       ${totals.lines}`);
  print(`Entries     ${listed(totals.entries)}`);
  print(`Live        ${listed(totals.live)}`);
  print(`Nothing new ${totals.redundant}`);
  print(`Activities  ${listed(totals.activities)}`);
  print(`Unknown     ${totals.entries.get('unknown') ?? 0}`);
}

/** Captured text as one line without control characters, which a terminal would obey. */
function oneLine(text: string): string {
  return text
    .slice(0, 4 * WIDTH)
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim();
}

function asJson(value: unknown): string {
  return JSON.stringify(value).replace(/[\u007f-\u009f]/g, (code) => `\\u00${code.charCodeAt(0).toString(16)}`);
}

function totalsAsJson(totals: Totals): object {
  return {
    totals: {
      lines: totals.lines,
      entries: Object.fromEntries(totals.entries),
      live: Object.fromEntries(totals.live),
      redundant: totals.redundant,
      activities: Object.fromEntries(totals.activities),
      unknown: totals.entries.get('unknown') ?? 0,
    },
  };
}

function shortened(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(1, width - 1))}…`;
}

function paint(colour: Colour, text: string): string {
  return process.stdout.isTTY ? styleText(colour, text) : text;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

// A reader such as `head` that closes the pipe has seen enough.
process.stdout.on('error', () => process.exit(0));
try {
  await main();
} catch (error) {
  process.stderr.write(`replay: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
