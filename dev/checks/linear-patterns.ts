/**
 * Checks that no regular expression of src/ and container/ can take more than linear time: a text that somebody else wrote
 * would then hold up the Worker. One that a bound makes harmless says so in a comment on the line above it: `Bounded: why`; one that
 * is put together while the program runs cannot be looked at, and has to say so too.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { analyse } from 'scslre';
import ts from 'typescript-compiler-api';
import { PROJECT } from '../settings.ts';

const BOUNDED = /^\s*(?:\/\/|\*|\/\*\*).*\bBounded: \S/;

/** A pattern that can take long, and where it is. */
export interface SlowPattern {
  /** Counted from 1. */
  line: number;
  pattern: string;
}

/** The patterns of a source text that can take more than linear time and do not say what bounds them. */
export function slowPatterns(source: string): SlowPattern[] {
  const file = ts.createSourceFile('patterns.tsx', source, ts.ScriptTarget.Latest, true, ts.ScriptKind.TSX);
  const lines = source.split('\n');
  const found: SlowPattern[] = [];
  const visit = (node: ts.Node): void => {
    const isMade = ts.isNewExpression(node) && node.expression.getText(file) === 'RegExp';
    if (isMade || (ts.isRegularExpressionLiteral(node) && isSlow(node.text))) {
      const line = file.getLineAndCharacterOfPosition(node.getStart(file)).line;
      // The comment may stand above the statement where the formatter has put the pattern on a line of its own.
      const above = [lines[line - 1] ?? '', lines[line - 2] ?? ''];
      if (!above.some((text) => BOUNDED.test(text)))
        found.push({ line: line + 1, pattern: node.getText(file).split('\n')[0] ?? '' });
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

function isSlow(literal: string): boolean {
  const end = literal.lastIndexOf('/');
  const { reports } = analyse({ source: literal.slice(1, end), flags: literal.slice(end + 1) });
  return reports.length > 0;
}

function sourceFiles(): string[] {
  return ['src', 'container'].flatMap((folder) =>
    readdirSync(join(PROJECT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.tsx?$/.test(name) && !name.includes('node_modules'))
      .map((name) => join(PROJECT, folder, name)),
  );
}

function main(): void {
  const files = sourceFiles();
  const found = files.flatMap((file) =>
    slowPatterns(readFileSync(file, 'utf8')).map(
      ({ line, pattern }) => `${relative(PROJECT, file)}:${line}  ${pattern}`,
    ),
  );
  for (const each of found) console.error(each);
  if (found.length > 0) {
    console.error(
      `${found.length} patterns can take more than linear time. Use src/lib/linear-time.ts, bound what repeats, or say above it what bounds it ("Bounded: …").`,
    );
    process.exit(1);
  }
  console.log(`The patterns of ${files.length} files take linear time.`);
}

if (import.meta.main) main();
