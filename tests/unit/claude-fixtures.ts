/** Captured output of the CLI, one file a situation, and a way to run it through the reader. */
import { readdirSync, readFileSync } from 'node:fs';
import {
  initialReaderState,
  type Live,
  type ReadEntry,
  type ReaderState,
  type ReadLine,
  readLine,
} from '../../src/claude/stream.ts';

const directory = new URL('../fixtures/claude-stream/', import.meta.url);

export const fixtureNames = readdirSync(directory).filter((name) => name.endsWith('.jsonl'));

export function fixtureLines(name: string): string[] {
  return readFileSync(new URL(name, directory), 'utf8')
    .split('\n')
    .filter((line) => line !== '');
}

/** Path of a fixture for a process of its own. */
export function fixturePath(name: string): string {
  return new URL(name, directory).pathname;
}

export interface Run {
  state: ReaderState;
  reads: ReadLine[];
  entries: ReadEntry[];
  live: Live[];
}

/** Reads lines one after the other. The state goes through JSON after each, as it does when it is stored. */
export function run(lines: string[], start: ReaderState = initialReaderState): Run {
  let state = start;
  const reads: ReadLine[] = [];
  for (const line of lines) {
    const step = readLine(state, line);
    state = JSON.parse(JSON.stringify(step.state));
    reads.push(step.read);
  }
  return { state, reads, entries: reads.flatMap((read) => read.entries), live: reads.flatMap((read) => read.live) };
}

/** Entries of one kind. */
export function ofKind<K extends ReadEntry['body']['kind']>(entries: ReadEntry[], kind: K) {
  return entries.flatMap(({ body }) => (body.kind === kind ? [body as Extract<ReadEntry['body'], { kind: K }>] : []));
}
