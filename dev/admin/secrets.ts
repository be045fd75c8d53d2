/** Secrets that a command needs: from the environment, from standard input, or asked for without showing them. */
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';

/** Asks at the terminal; what is typed is not shown. @returns null if there is no terminal, or nothing was typed */
export async function askHidden(question: string): Promise<string | null> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return null;
  process.stderr.write(question);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const line = createInterface({ input: process.stdin, output: silent, terminal: true });
  try {
    return (await line.question('')).trim() || null;
  } finally {
    line.close();
    process.stderr.write('\n');
  }
}

/** Everything on standard input, without the line's end; null if it is empty or a terminal. */
export async function readStdin(): Promise<string | null> {
  if (process.stdin.isTTY) return null;
  return (await text(process.stdin)).replace(/\r?\n$/, '') || null;
}
