import { plainOutput } from '../../lib/terminal-text.ts';

/** The first `most` lines, and how many are left out. */
export function firstLines(text: string, most: number): { shown: string; hidden: number } {
  let end = -1;
  for (let line = 0; line < most; line += 1) {
    end = text.indexOf('\n', end + 1);
    if (end === -1) return { shown: text, hidden: 0 };
  }
  const hidden = text.slice(end + 1).trimEnd();
  return hidden === '' ? { shown: text, hidden: 0 } : { shown: text.slice(0, end), hidden: hidden.split('\n').length };
}

const SPEAKS_OF_ERROR =
  /\b(?:error|fail(?:ed|ure|ing|s)?|fatal|exception|not ok|cannot|can't|denied|not found)\b|[✖✗×]/i;
const SPEAKS_OF_SUCCESS = /^\s*(?:[✔✓√]|ok\b|pass)/i;

/** Of an error's text the line that most likely says what went wrong; without any such word the last one. */
export function errorLine(text: string): string {
  const lines = plainOutput(text)
    .split('\n')
    .filter((line) => line.trim() !== '');
  const worded = lines.find((line) => SPEAKS_OF_ERROR.test(line) && !SPEAKS_OF_SUCCESS.test(line));
  return (worded ?? lines.at(-1) ?? '').trim().slice(0, 300);
}
