/** The newest checkpoint that counts, noted on the disk: from it a repository is made again that went missing there. */
import { join } from 'node:path';
import { parseJson } from '../../src/lib/parse-json.ts';
import { type CheckpointManifest, checkpointManifestSchema } from '../../src/protocol/checkpoint.ts';
import { readText, rename, writeFile } from '../files/inside.ts';
import type { SessionPaths } from '../paths.ts';

/** The session's user may write to the folder. */
const MAX_MANIFEST_BYTES = 16 * 1024 * 1024;

/** Notes it, in place of the one before. */
export async function rememberCheckpoint(paths: SessionPaths, manifest: CheckpointManifest): Promise<void> {
  const file = join(paths.checkpoint, 'last.json');
  await writeFile(`${file}.new`, JSON.stringify(manifest), { mode: 0o600 });
  await rename(`${file}.new`, file);
}

/** What was noted; null if nothing was, or nothing that can be read. */
export async function lastCheckpoint(paths: SessionPaths): Promise<CheckpointManifest | null> {
  const text = await readText(join(paths.checkpoint, 'last.json'), MAX_MANIFEST_BYTES).catch(() => 'null');
  const parsed = checkpointManifestSchema.safeParse(parseJson(text));
  return parsed.success ? parsed.data : null;
}
