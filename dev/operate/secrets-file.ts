/** The file with the secrets of a deployment, as people read it, and the one that wrangler is given. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Adds secrets to the text of such a file (pure). What is there stays as it was written, byte for byte: quotes, comments, several lines.
 * @throws Error for a value that no quotes can hold
 */
export function withSecrets(text: string, fresh: Readonly<Record<string, string>>): string {
  const lines = Object.entries(fresh).map(([name, value]) => {
    // In single quotes and backticks a value is taken as it is.
    const quote = ["'", '`'].find((each) => !value.includes(each));
    if (quote === undefined) throw new Error(`${name} has both ' and \` in it: write it into the file by hand.`);
    return `${name}=${quote}${value}${quote}\n`;
  });
  return `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${lines.join('')}`;
}

/**
 * Writes these secrets, and no others, to a file that its owner alone may read, for as long as it is used.
 * It is JSON: in other files wrangler puts variables of the environment in the place of `$NAME`.
 * @param use takes the path of the file
 */
export async function withSecretsFile<Result>(
  secrets: Readonly<Record<string, string>>,
  use: (file: string) => Promise<Result>,
): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), 'cyrus-secrets-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const breakOff = () => {
    remove();
    process.exit(130);
  };
  process.once('SIGINT', breakOff);
  try {
    const file = join(folder, 'secrets.json');
    writeFileSync(file, JSON.stringify(secrets), { mode: 0o600 });
    return await use(file);
  } finally {
    process.off('SIGINT', breakOff);
    remove();
  }
}
