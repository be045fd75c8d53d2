/**
 * Markdown that is still being written, cut into pieces that can be drawn apart. A finished piece never changes again,
 * so each delta costs only the drawing of the last piece, however long the text has become. Pure.
 *
 * A piece ends at a blank line after which something new certainly begins: a line that starts neither with white space
 * nor as an item of a list (it could continue what is above). Text inside a code fence is never cut; a fence that is
 * still open is a piece of its own, so that its code can be shown without being parsed.
 */
export type StreamBlocks = {
  /** Ends of the finished pieces, ascending. */
  readonly cuts: readonly number[];
  /** Up to here lines have been looked at; lines are looked at when they are complete. */
  readonly scanned: number;
  /** The fence that is open (its mark, e.g. "```"), and where its code begins; null outside. */
  readonly fence: { readonly mark: string; readonly codeFrom: number } | null;
  /** True when the line before was blank. */
  readonly blank: boolean;
};

export const noBlocks: StreamBlocks = { cuts: [], scanned: 0, fence: null, blank: false };

/** Goes on from what was found before; `text` must be the earlier text with something added. */
export function scanBlocks(before: StreamBlocks, text: string): StreamBlocks {
  let { scanned, fence, blank } = before;
  const cuts: number[] = [];
  for (let end = text.indexOf('\n', scanned); end !== -1; end = text.indexOf('\n', scanned)) {
    const line = text.slice(scanned, end);
    const mark = /^(`{3,}|~{3,})/.exec(line)?.[1];
    if (fence !== null) {
      if (mark?.startsWith(fence.mark) && line.trim() === mark) {
        fence = null;
        cuts.push(end + 1);
      }
    } else {
      const begins = mark !== undefined || (blank && /^[^\s\-*+>|\d]/.test(line));
      if (begins && scanned > 0) cuts.push(scanned);
      if (mark !== undefined) fence = { mark, codeFrom: end + 1 };
    }
    blank = line.trim() === '';
    scanned = end + 1;
  }
  if (scanned === before.scanned) return before;
  const last = before.cuts.at(-1) ?? 0;
  const added = cuts.filter((cut, index) => cut > (index === 0 ? last : (cuts[index - 1] ?? 0)));
  return { cuts: added.length === 0 ? before.cuts : [...before.cuts, ...added], scanned, fence, blank };
}
