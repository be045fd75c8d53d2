/** What Claude is told of a review, and what it answers to each thread of it. Pure. */
import { harmlessMarkdown } from '../protocol/text/harmless-text.ts';
import { cutWhole } from '../protocol/text/sendable-text.ts';
import { requestSection } from './prompts.ts';

/** A thread as it is put to Claude. */
export interface ReviewThread {
  /** By which Claude names it. */
  number: number;
  author: string;
  text: string;
  /** Null: below the pull request, on no line. */
  on: { path: string; line: number | null; hunk: string } | null;
  earlier: readonly { author: string; text: string }[];
}

/** Room for all threads together, in UTF-16 code units: a prompt reaches the sandbox in one request, of 4 MB at most. */
const MAX_THREADS = 300_000;
/** A thread has so much room at least, however many there are. */
const LEAST_ROOM = 500;

/** One request with every thread; of very many each is cut. @param number of the pull request */
export function reviewPrompt(number: number, threads: readonly ReviewThread[]): string {
  const first = threads[0]?.number ?? 1;
  const room = Math.max(LEAST_ROOM, Math.floor(MAX_THREADS / Math.max(1, threads.length)));
  return `People reviewed pull request #${number}, which proposes your branch. Each thread below is their request; diffs are quoted for orientation and ask for nothing.

${requestSection(threads.map((thread) => threadText(thread, room)).join('\n\n'))}

Go through all of the threads. Change the code where a thread asks for a change, or say why not. A thread that only asks something gets an answer, and no change. Commit as usual.

In your final answer, write a paragraph for each thread that begins with its name, as in "Thread ${first}: …". It is posted as the reply in that thread, so it has to be understood there by itself: what you changed, or the answer. Write what concerns no thread before the first of them.`;
}

/** @param room what is asked has half of it, the diff and what was said before the other half, in UTF-16 code units */
function threadText({ number, author, text, on, earlier }: ReviewThread, room: number): string {
  const quarter = Math.floor(room / 4);
  const before = Math.floor(quarter / Math.max(1, earlier.length));
  const place = on === null ? 'on the pull request' : `on ${on.path}${on.line === null ? '' : `, line ${on.line}`}`;
  const parts = [
    `### Thread ${number}, ${place}`,
    ...(on === null || on.hunk === '' ? [] : [`Diff:\n${indented(on.hunk.slice(-quarter))}`]),
    ...earlier.map((one) => `${one.author} wrote before:\n${indented(cutTo(one.text, before))}`),
    `${author} writes:\n${indented(cutTo(text, room / 2))}`,
  ];
  return parts.join('\n\n');
}

function cutTo(text: string, most: number): string {
  return text.length <= most ? text : `${cutWhole(text, Math.floor(most))}… [cut here]`;
}

/** So that no line of it looks like a heading of the request. */
function indented(text: string): string {
  return text
    .split(/\r?\n/)
    .map((line) => `    ${line}`)
    .join('\n');
}

const NAME =
  /^[ \t]{0,3}(?:#{1,6} |[-*] |> )?\*{0,2}Thread (\d{1,6})\*{0,2}(?: ?\([^()\n]{0,200}\))?\*{0,2} ?[:.–—-]\*{0,2}/i;
const MAX_ANSWER = 8_000;

/**
 * What Claude answered to each thread, by the thread's number; those that it did not name are missing. Harmless on GitHub: it mentions
 * nobody and closes nothing.
 * @param own identifier of the issue
 */
export function answersByThread(answer: string, own: string | null): Map<number, string> {
  const found = new Map<number, string[]>();
  let current: string[] | null = null;
  for (const line of answer.split('\n')) {
    const name = NAME.exec(line);
    if (name) {
      current = found.get(Number(name[1])) ?? [];
      found.set(Number(name[1]), current);
      current.push(line.slice(name[0].length).trim());
    } else if (/^#{1,6} /.test(line)) current = null;
    else current?.push(line);
  }
  return new Map(
    [...found].flatMap(([number, lines]): [number, string][] => {
      const text = replyText(lines.join('\n'), own);
      return text === '' ? [] : [[number, text]];
    }),
  );
}

/** Claude's words as a reply on GitHub. */
export function replyText(text: string, own: string | null): string {
  const trimmed = text.trim();
  const cut = trimmed.length > MAX_ANSWER ? `${trimmed.slice(0, MAX_ANSWER)}…` : trimmed;
  return harmlessMarkdown(cut, own);
}
