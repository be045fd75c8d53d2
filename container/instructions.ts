/**
 * What is appended to Claude's system prompt: the repository's CLAUDE.md (AGENTS.md where there is none), then the
 * session's own words with the repository's prompts. Claude does not read CLAUDE.md by itself here, because reading the project's settings would let
 * the repository start hooks and servers and redirect the API (measured with CLI 2.1.330).
 */
import { open, writeFile } from 'node:fs/promises';
import type { SessionPaths } from './paths.ts';
import { repositoryFile } from './paths.ts';

const MAX_BYTES = 256 * 1024;

/**
 * Writes the file for `--append-system-prompt-file`. It lies outside the worktree, where it cannot be committed.
 * @param note a fact about the sandbox that Claude should know, e.g. that the setup script failed
 */
export async function writeInstructions(paths: SessionPaths, systemPrompt: string, note: string | null): Promise<void> {
  const parts: string[] = [];
  for (const name of ['CLAUDE.md', 'AGENTS.md']) {
    const text = await readCapped(paths.worktree, name);
    if (text === null) continue;
    parts.push(`# ${name} of this repository\n\n${text}`);
    break;
  }
  parts.push(systemPrompt);
  if (note) parts.push(note);
  await writeFile(paths.instructions, `${parts.filter((part) => part.trim() !== '').join('\n\n')}\n`, { mode: 0o600 });
}

async function readCapped(worktree: string, name: string): Promise<string | null> {
  const path = await repositoryFile(worktree, name);
  if (!path) return null;
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.alloc(MAX_BYTES);
    const { bytesRead } = await file.read(buffer, 0, MAX_BYTES, 0);
    const text = buffer.subarray(0, bytesRead).toString('utf8');
    const whole = (await file.stat()).size <= MAX_BYTES;
    return whole ? text : `${text}\n\n(${name} is longer than ${MAX_BYTES / 1024} KiB; read the rest in the file.)`;
  } finally {
    await file.close();
  }
}
