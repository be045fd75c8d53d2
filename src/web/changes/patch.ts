/** A patch as git writes it, read into files and hunks. Takes linear time, whatever the files hold. Pure. */
import type { Hunk } from '../../protocol/journal.ts';
import { withoutDisguise } from '../../protocol/text/visible-text.ts';

export interface ChangedFile {
  /** As people see it: characters that turn its direction around are written out. */
  readonly path: string;
  readonly kind: 'added' | 'deleted' | 'changed';
  /** It has no lines to show. */
  readonly isBinary: boolean;
  /** What git writes of a binary file; empty if it is none, or the patch does not have it. */
  readonly binary: readonly string[];
  /** Its mode, if that was changed, e.g. "100644 → 100755". */
  readonly mode: string | null;
  readonly hunks: readonly Hunk[];
  readonly added: number;
  readonly removed: number;
  /** Names this state of the file: another one as soon as its change is another. */
  readonly state: string;
}

type Draft = { -readonly [K in keyof ChangedFile]: ChangedFile[K] } & {
  hunks: Hunk[];
  binary: string[];
  modes: string[];
  /** The lines that follow are the content of a binary file. */
  inBinary: boolean;
};

/** The files of a patch, in its order; text that is no patch has none. */
export function readPatch(patch: string): ChangedFile[] {
  const files: Draft[] = [];
  let file: Draft | null = null;
  /** Lines that the hunk still has: what a file holds is not taken for the head of another. */
  let [old, fresh] = [0, 0];
  for (const line of patch.split('\n')) {
    const hunk: Hunk | undefined = file?.hunks.at(-1);
    if (file !== null && hunk !== undefined && (old > 0 || fresh > 0)) {
      hunk.lines.push(line.endsWith('\r') ? line.slice(0, -1) : line);
      const isAdded = line.startsWith('+');
      const isRemoved = line.startsWith('-');
      if (line.startsWith('\\')) continue;
      if (isAdded) file.added += 1;
      else old -= 1;
      if (isRemoved) file.removed += 1;
      else fresh -= 1;
      continue;
    }
    if (line.startsWith('diff --git ')) {
      file = newFile(line);
      files.push(file);
      continue;
    }
    if (file === null) continue;
    if (file.inBinary) {
      file.binary.push(line);
      continue;
    }
    const counts = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/.exec(line);
    if (counts) {
      [old, fresh] = [Number(counts[2] ?? 1), Number(counts[4] ?? 1)];
      const [oldStart, newStart] = [Number(counts[1]), Number(counts[3])];
      file.hunks.push({ oldStart, oldLines: old, newStart, newLines: fresh, lines: [] });
    } else if (hunk !== undefined && line.startsWith('\\')) hunk.lines.push(line);
    else readHead(file, line);
  }
  return files.map(({ modes, inBinary: _, ...rest }) => {
    const mode = modes.length === 2 ? modes.join(' → ') : null;
    return { ...rest, mode, state: [rest.state, mode].filter(Boolean).join(' ') };
  });
}

function newFile(line: string): Draft {
  // Without renames both names are the same: `a/NAME b/NAME`, either of them quoted.
  const rest = line.slice('diff --git '.length);
  const quoted = /^"(?:[^"\\]|\\.)*"/.exec(rest)?.[0];
  const name = quoted === undefined ? rest.slice(0, rest.length >> 1) : unquoted(quoted);
  const path = withoutDisguise(name.slice(2));
  const none = { kind: 'changed', isBinary: false, mode: null, added: 0, removed: 0, state: '' } as const;
  return { ...none, path, hunks: [], binary: [], modes: [], inBinary: false };
}

function readHead(file: Draft, line: string): void {
  // Of a file that got another name, the new one counts.
  const moved = /^(?:rename|copy) to (.+)$/.exec(line)?.[1];
  if (moved !== undefined) file.path = withoutDisguise(moved.startsWith('"') ? unquoted(moved) : moved);
  if (line.startsWith('new file mode')) file.kind = 'added';
  else if (line.startsWith('deleted file mode')) file.kind = 'deleted';
  else if (line.startsWith('old mode ') || line.startsWith('new mode ')) file.modes.push(line.slice(9));
  else if (line.startsWith('index ')) file.state = /^index ([0-9a-f.]+)/.exec(line)?.[1] ?? '';
  else if (line.startsWith('Binary files ')) file.isBinary = true;
  else if (line === 'GIT binary patch') {
    file.isBinary = true;
    file.inBinary = true;
  }
}

const ESCAPES: Record<string, number> = { n: 10, t: 9, r: 13, a: 7, b: 8, f: 12, v: 11, '"': 34, '\\': 92 };

/** A name that git has quoted as C does: bytes that are no plain letters are octal numbers. */
function unquoted(quoted: string): string {
  const bytes: number[] = [];
  const inner = quoted.slice(1, -1);
  for (let at = 0; at < inner.length; at += 1) {
    const octal = /^\\([0-7]{3})/.exec(inner.slice(at, at + 4))?.[1];
    if (octal !== undefined) {
      bytes.push(Number.parseInt(octal, 8));
      at += 3;
    } else if (inner[at] === '\\') {
      at += 1;
      bytes.push(ESCAPES[inner[at] ?? ''] ?? 63);
    } else bytes.push(...new TextEncoder().encode(inner[at]));
  }
  return new TextDecoder().decode(new Uint8Array(bytes));
}
