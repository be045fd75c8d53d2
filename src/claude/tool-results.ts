/** Results of tools: their text for the journal, and the lines a file edit changed. */

import { asFields, type ContentBlock, contentBlockSchema, editResultSchema } from '../protocol/claude-line.ts';
import type { Hunk, JournalBody } from '../protocol/journal.ts';
import { boundText, boundWord, cutAt } from './bounds.ts';
import { withoutNotes } from './internals.ts';

type ToolResult = Extract<JournalBody, { kind: 'tool-result' }>;

/** Most characters of diff lines kept for one edit. */
const MAX_EDIT_TEXT = 32 * 1024;
/** Longest single diff line kept; minified files have lines of megabytes. */
const MAX_EDIT_LINE = 2_000;
const MAX_PATH = 1_000;

/**
 * A tool_result block as journal entry.
 * @param block the content block; its `content` is a string or a list of blocks
 * @param details the line's `tool_use_result`: for edits `{filePath, structuredPatch, …}`, for subagents
 *   `{agentId, content, …}`, otherwise ignored
 */
export function toolResult(block: ContentBlock, details: unknown, parentToolUseId: string | undefined): ToolResult {
  const edit = readEdit(details);
  return {
    kind: 'tool-result',
    toolUseId: boundWord(block.tool_use_id ?? ''),
    ...boundText(agentReport(details) ?? withoutNotes(contentText(block.content))),
    isError: block.is_error ?? false,
    ...(edit !== null && { edit }),
    ...(parentToolUseId !== undefined && { parentToolUseId }),
  };
}

/**
 * A subagent's report as it was written. The tool result wraps it in words meant for the model (measured with CLI
 * 2.1.330); the details hold it bare, after a note on the tools it used.
 */
function agentReport(details: unknown): string | null {
  const fields = asFields(details);
  if (typeof fields?.agentId !== 'string' || !Array.isArray(fields.content)) return null;
  const report = contentText(fields.content.filter((item) => !isHarnessNote(item)));
  return report.trim() === '' ? null : report;
}

function isHarnessNote(item: unknown): boolean {
  const text = asFields(item)?.text;
  return (
    typeof text === 'string' && /^<tools-used-before-summary>[\w\s,:-]*<\/tools-used-before-summary>\s*$/.test(text)
  );
}

/** Text of a tool result's or message's content: strings as they are, images and other data named with their size. */
export function contentText(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return content === undefined || content === null ? '' : asJson(content);
  return content.map(blockText).join('\n');
}

function blockText(item: unknown): string {
  const parsed = contentBlockSchema.safeParse(item);
  if (!parsed.success) return asJson(item);
  const block = parsed.data;
  if (block.text !== undefined) return block.text;
  const source = asFields(block.source);
  if (block.type === 'image' || block.type === 'document') {
    const data = source?.data;
    return typeof data === 'string' ? `[${block.type}, ${size((data.length * 3) / 4)}]` : `[${block.type}]`;
  }
  if (block.type === 'tool_reference') {
    const name = asFields(item)?.tool_name;
    return typeof name === 'string' ? `[tool ${name}]` : '[tool]';
  }
  return asJson(item);
}

function size(bytes: number): string {
  if (bytes < 1024) return `${Math.ceil(bytes)} B`;
  if (bytes < 1024 * 1024) return `${Math.ceil(bytes / 1024)} KB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}

function asJson(value: unknown): string {
  try {
    return JSON.stringify(value) ?? '';
  } catch {
    // JSON.stringify recurses; what JSON.parse accepted may still be nested too deeply for it.
    return '[nested too deeply to show]';
  }
}

function readEdit(details: unknown): ToolResult['edit'] | null {
  const parsed = editResultSchema.safeParse(details);
  if (!parsed.success) return null;
  const { type, filePath, content, structuredPatch } = parsed.data;
  const created = type === 'create';
  // For a new file the CLI sends no hunks; its content makes one, so that every edit reads as a diff.
  const hunks = created && structuredPatch.length === 0 && content ? [wholeFile(content)] : structuredPatch;
  return { path: boundText(filePath, MAX_PATH).text, hunks: boundHunks(hunks), created };
}

function wholeFile(content: string): Hunk {
  // No more than can be kept is split: the file may be large.
  const lines = cutAt(content, MAX_EDIT_TEXT + 1).split('\n');
  const total = content.length > MAX_EDIT_TEXT ? content.split('\n').length : lines.length;
  const ends = content.endsWith('\n');
  if (ends && content.length <= MAX_EDIT_TEXT) lines.pop();
  const count = ends ? total - 1 : total;
  return { oldStart: 0, oldLines: 0, newStart: 1, newLines: count, lines: lines.map((line) => `+${line}`) };
}

function boundHunks(hunks: Hunk[]): Hunk[] {
  let left = MAX_EDIT_TEXT;
  const kept: Hunk[] = [];
  for (const hunk of hunks) {
    if (left <= 0) break;
    const lines: string[] = [];
    for (const line of hunk.lines) {
      if (left <= 0) break;
      lines.push(boundText(line, MAX_EDIT_LINE).text);
      left -= Math.min(line.length, MAX_EDIT_LINE) + 1;
    }
    // A line that starts with a backslash is a remark in the diff format.
    const missing = Math.max(hunk.oldLines, hunk.newLines, hunk.lines.length) - lines.length;
    if (left <= 0 && missing > 0) lines.push('\\ More lines changed than are kept here');
    kept.push({ ...hunk, lines });
  }
  return kept;
}
