/** What released versions of Cyrus stored; see tests/fixtures/released. */
import { readdirSync, readFileSync } from 'node:fs';

const directory = new URL('../../fixtures/released/', import.meta.url);

export const releasedVersions = readdirSync(directory, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);

/** The lines of one file of a version. */
export function released(version: string, file: 'states' | 'effects' | 'journal'): string[] {
  return readFileSync(new URL(`${version}/${file}.jsonl`, directory), 'utf8')
    .split('\n')
    .filter((line) => line !== '');
}
