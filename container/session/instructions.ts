/**
 * What is appended to Claude's system prompt: the repository's CLAUDE.md with its imports (AGENTS.md if there is none), then the
 * session's own words with the repository's prompts. Claude does not read CLAUDE.md by itself here, because reading the project's settings would let
 * the repository start hooks and servers and redirect the API (measured with CLI 2.1.330).
 */
import { writeFile } from 'node:fs/promises';
import { toClaude } from '../../src/protocol/text/clean-text.ts';
import type { SessionPaths } from '../paths.ts';
import { readMemories } from './claude-md-imports.ts';

/**
 * Writes the file for `--append-system-prompt-file`. It lies outside the worktree, so it cannot be committed.
 * @param note a fact about the sandbox that Claude should know, e.g. that the setup script failed
 */
export async function writeInstructions(paths: SessionPaths, systemPrompt: string, note: string | null): Promise<void> {
  const memories = await readMemories(paths.worktree);
  const parts = memories.map(({ name, text }) => `# ${name} of this repository\n\n${text}`);
  parts.push(systemPrompt);
  if (note) parts.push(note);
  const whole = parts.filter((part) => part.trim() !== '').join('\n\n');
  await writeFile(paths.instructions, `${toClaude(whole)}\n`, { mode: 0o640 });
}
