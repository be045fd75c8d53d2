/** What programs write to a terminal, as text. Pure. */
import { withoutEnding } from './linear-time.ts';

// Control sequences of terminals (ECMA-48): CSI (colours, cursor), OSC (titles, links), and single-character escapes.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this removes
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g;

/**
 * What a terminal would show at the end, as plain text: without control sequences, and of a line that was overwritten
 * (progress bars return the carriage) only what was written last. Pure.
 */
export function plainOutput(text: string): string {
  const plain = text.replace(ESCAPES, '').replaceAll('\r\n', '\n');
  return plain.includes('\r') ? plain.split('\n').map(lastWritten).join('\n') : plain;
}

function lastWritten(line: string): string {
  const written = withoutEnding(line, '\r');
  return written.slice(written.lastIndexOf('\r') + 1);
}
