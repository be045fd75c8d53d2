/**
 * The hook `proc-receive` of a git host: refuses every update of a protected branch as GitHub does, each ref by itself. git runs it for the refs
 * of `receive.procReceiveRefs` alone (https://git-scm.com/docs/githooks#proc-receive). It speaks packet lines on stdin and stdout.
 */
import { readSync, writeSync } from 'node:fs';

/** Reads so many bytes; fewer at the end of the input. */
function readBytes(count: number): Buffer {
  const buffer = Buffer.alloc(count);
  let at = 0;
  while (at < count) {
    const read = readSync(0, buffer, at, count - at, null);
    if (read === 0) break;
    at += read;
  }
  return buffer.subarray(0, at);
}

/** Lines up to the next flush packet. */
function readLines(): string[] {
  const lines: string[] = [];
  for (;;) {
    const length = Number.parseInt(readBytes(4).toString('ascii'), 16);
    if (!(length > 4)) return lines;
    lines.push(
      readBytes(length - 4)
        .toString('utf8')
        .replace(/\n$/, ''),
    );
  }
}

function writeLines(lines: string[]): void {
  const packets = lines.map((line) => (Buffer.byteLength(line) + 4).toString(16).padStart(4, '0') + line);
  writeSync(1, `${packets.join('')}0000`);
}

const takesOptions = readLines().some((line) => /\0.*\bpush-options\b/.test(line));
writeLines([`version=1\0${takesOptions ? 'push-options' : ''}`]);
const updates = readLines();
if (takesOptions) readLines();
const refs = updates.map((update) => update.split(' ').slice(2).join(' '));
for (const ref of refs) {
  writeSync(2, `error: GH006: Protected branch update failed for ${ref}.\n`);
  writeSync(2, 'error: Changes must be made through a pull request.\n');
}
writeLines(refs.map((ref) => `ng ${ref} protected branch hook declined`));
