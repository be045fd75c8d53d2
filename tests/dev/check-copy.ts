/** A copy of the project in which tests change a file and see what a check says of it. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { PROJECT } from '../../dev/settings.ts';

export class CheckCopy {
  readonly #folder = mkdtempSync(join(tmpdir(), 'cyrus-check-'));
  readonly #check: string;

  /** @param check file of the check @param paths what the check reads, below the project's root */
  constructor(check: string, paths: readonly string[]) {
    this.#check = join(PROJECT, check);
    for (const path of paths) cpSync(join(PROJECT, path), join(this.#folder, path), { recursive: true });
  }

  /** What the check says of the copy, and how it ends. */
  run(): { status: number | null; said: string } {
    const { status, stdout, stderr } = spawnSync(process.execPath, [this.#check, this.#folder], { encoding: 'utf8' });
    return { status, said: stdout + stderr };
  }

  /** The same while `before` is `after` in a file, which is put back then. */
  runWith(file: string, before: string, after: string): { status: number | null; said: string } {
    const path = join(this.#folder, file);
    const text = readFileSync(path, 'utf8');
    expect(text).toContain(before);
    writeFileSync(
      path,
      text.replace(before, () => after),
    );
    try {
      return this.run();
    } finally {
      writeFileSync(path, text);
    }
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
