/** What checks read of Markdown: headings as GitHub anchors them, links, blocks of commands. */

/** Lines of a document that are not within a block of code, with their numbers. */
function proseLines(document: string): { line: string; number: number }[] {
  let fence: string | null = null;
  return document.split('\n').flatMap((line, index) => {
    const mark = /^\s*(`{3,}|~{3,})/.exec(line)?.[1];
    if (mark && (fence === null || mark.startsWith(fence))) {
      fence = fence === null ? mark : null;
      return [];
    }
    return fence === null ? [{ line, number: index + 1 }] : [];
  });
}

/** The anchors of a document's headings, as GitHub makes them: small letters, no punctuation, hyphens for spaces, a number for repeats. */
export function anchorsOf(document: string): Set<string> {
  const anchors = new Set<string>();
  for (const { line } of proseLines(document)) {
    const heading = /^#{1,6}\s+(.*?)\s*#*$/.exec(line)?.[1];
    if (heading === undefined) continue;
    const shown = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/[`*]/g, '');
    const plain = shown
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-');
    let anchor = plain;
    for (let number = 1; anchors.has(anchor); number += 1) anchor = `${plain}-${number}`;
    anchors.add(anchor);
  }
  return anchors;
}

/** A link: where it leads, and the number of its line. */
export interface Link {
  target: string;
  line: number;
}

/** Links and pictures in the text of a document, without those that code quotes. */
export function linksOf(document: string): Link[] {
  return proseLines(document).flatMap(({ line, number }) => {
    const text = line.replace(/`[^`]*`/g, '``');
    return [...text.matchAll(/\]\(\s*<?([^()\s>]+)>?(?:\s+"[^"]*")?\s*\)/g)].map(([, target = '']) => ({
      target,
      line: number,
    }));
  });
}

/** A command, and the number of its line. */
export interface Command {
  command: string;
  line: number;
}

/** Lines in blocks of shell commands, and what the text quotes as code. */
export function commandsOf(document: string): Command[] {
  let isShell = false;
  let isCode = false;
  return document.split('\n').flatMap((line, index): Command[] => {
    const fence = /^\s*```(\w*)/.exec(line);
    if (fence) {
      isCode = !isCode;
      isShell = isCode && ['sh', 'bash', 'shell', 'console'].includes(fence[1] ?? '');
      return [];
    }
    if (isShell) return [{ command: line, line: index + 1 }];
    return isCode ? [] : [...line.matchAll(/`([^`]+)`/g)].map(([, command = '']) => ({ command, line: index + 1 }));
  });
}
