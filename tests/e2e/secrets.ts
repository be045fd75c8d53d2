/** Looks for credentials in places that may have none. */
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Stack } from '../../dev/stack.ts';

/** A text that must not be found, and what to call it: the report must not repeat the secret. */
export interface Secret {
  name: string;
  text: string;
}

/** All secrets of a run, also in the form in which git would send one: its own, and those of the stand-in for GitHub. */
export function secretsOf({ secrets, github }: Pick<Stack, 'secrets' | 'github'>): Secret[] {
  const basic = Buffer.from(`cyrus:${secrets.gitPassword}`).toString('base64');
  return [
    ...Object.entries(secrets).map(([name, text]) => ({ name, text })),
    { name: 'gitPassword, as basic authentication', text: basic },
    // A line of it, for line breaks may be written in several ways.
    { name: "the GitHub App's private key", text: github.app.privateKey.split('\n')[2] ?? '' },
    ...github.installationTokens().flatMap((token) => [
      { name: 'an installation token', text: token },
      { name: 'an installation token, as basic authentication', text: btoa(`x-access-token:${token}`) },
    ]),
  ];
}

/**
 * Every file under a folder (links are not followed) that holds one of the secrets, as "path: name".
 * @param changedSince in ms since the epoch: files whose content and attributes are older are passed over
 */
export function findInFiles(folder: string, secrets: readonly Secret[], changedSince = 0): string[] {
  const found: string[] = [];
  for (const entry of unlessGone(() => readdirSync(folder, { withFileTypes: true })) ?? []) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) found.push(...findInFiles(path, secrets, changedSince));
    if (!entry.isFile()) continue;
    const bytes = unlessGone(() => (lstatSync(path).ctimeMs < changedSince ? null : readFileSync(path)));
    if (bytes) found.push(...findIn(bytes, secrets).map((secret) => `${path}: ${secret}`));
  }
  return found;
}

/** Null if the file or folder is gone: Claude and git remove files of their own while somebody reads. */
function unlessGone<Value>(read: () => Value): Value | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

/** Every process whose command line or environment holds one of the secrets, as "process 12 (environ): name". */
export function findInProcesses(pids: readonly number[], secrets: readonly Secret[]): string[] {
  return pids.flatMap((pid) =>
    ['cmdline', 'environ'].flatMap((place) => {
      try {
        const bytes = readFileSync(`/proc/${pid}/${place}`);
        return findIn(bytes, secrets).map((name) => `process ${pid} (${place}): ${name}`);
      } catch {
        return []; // It has ended.
      }
    }),
  );
}

function findIn(bytes: Buffer, secrets: readonly Secret[]): string[] {
  return secrets.filter(({ text }) => bytes.includes(text)).map(({ name }) => name);
}
