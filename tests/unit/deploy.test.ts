import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { notAdditive } from '../../dev/checks/additive-migrations.ts';
import { type DeployHost, databaseName, deploy } from '../../dev/deploy-steps.ts';

/** A deployment; `failing`: words of the command that fails. */
function world({ exists = true, failing = '', list }: { exists?: boolean; failing?: string; list?: string } = {}) {
  const ran: string[] = [];
  const host: DeployHost = {
    run(command, args) {
      const words = [command, ...args].join(' ');
      const isFailing = failing !== '' && words.startsWith(failing);
      ran.push(isFailing ? `failed: ${words}` : words);
      return isFailing ? 'exit code 1' : null;
    },
    read: () => list ?? JSON.stringify([{ name: 'other' }, ...(exists ? [{ name: 'cyrus' }] : [])]),
    tell: () => {},
  };
  const kinds = () =>
    ran.map((words) => {
      if (words.includes('migrations apply')) return 'database';
      if (words.includes('--dry-run')) return 'rehearsal';
      return words.includes('wrangler deploy') ? 'worker' : 'page';
    });
  return { host, ran, kinds };
}

describe('a deploy', () => {
  it('brings the database up to date before the Worker changes, where there is one', () => {
    const { host, kinds } = world();
    expect(deploy(host, [], 'cyrus', [])).toBeNull();
    expect(kinds()).toEqual(['page', 'rehearsal', 'database', 'worker']);
  });

  it('makes the database by the first deploy', () => {
    const { host, kinds } = world({ exists: false });
    expect(deploy(host, [], 'cyrus', [])).toBeNull();
    expect(kinds()).toEqual(['page', 'rehearsal', 'worker', 'database']);
  });

  it.each([
    ['the page', 'vite build', ['page']],
    ['the image or the bundle', 'wrangler deploy --dry-run', ['page', 'rehearsal']],
    ['a migration', 'wrangler d1', ['page', 'rehearsal', 'database']],
  ])('stops before the Worker changes when %s fails, and says so', (_what, failing, kinds) => {
    const run = world({ failing });
    expect(deploy(run.host, [], 'cyrus', [])).toMatch(/Nothing was changed|the one from before/);
    expect(run.kinds()).toEqual(kinds);
  });

  it('changes nothing where a migration is not additive', () => {
    const { host, ran } = world();
    expect(deploy(host, [], 'cyrus', ['0009.sql: it drops a table'])).toContain('0009.sql');
    expect(ran).toEqual([]);
  });

  it('changes nothing where Cloudflare does not say whether the database is there', () => {
    const { host, kinds } = world({ list: 'You are not logged in.' });
    expect(deploy(host, [], 'cyrus', [])).toContain('Nothing was changed');
    expect(kinds()).toEqual(['page', 'rehearsal']);
  });

  it('hands its arguments on, to the rehearsal too', () => {
    const { host, ran } = world();
    deploy(host, ['--secrets-file', 'production.secrets'], 'cyrus', []);
    expect(ran.filter((words) => words.includes('--secrets-file production.secrets'))).toHaveLength(2);
  });
});

it('the database has the name that the configuration or wrangler gives it', () => {
  expect(databaseName('name = "cyrus"\n[[d1_databases]]\nbinding = "DB"\n')).toBe('cyrus-db');
  expect(databaseName('name = "cyrus"\n[[d1_databases]]\ndatabase_name = "mine"\n')).toBe('mine');
});

describe('a migration', () => {
  it('of this repository adds only: the Worker from before goes on with it', () => {
    const folder = new URL('../../migrations/', import.meta.url);
    const files = readdirSync(folder).filter((name) => name.endsWith('.sql'));
    expect(files.length).toBeGreaterThan(6);
    for (const file of files) expect(notAdditive(readFileSync(new URL(file, folder), 'utf8')), file).toEqual([]);
  });

  it.each([
    'DROP TABLE sessions;',
    'drop table if exists `sessions`',
    'ALTER TABLE sessions DROP COLUMN title;',
    'ALTER TABLE `sessions` DROP title',
    'ALTER TABLE sessions RENAME TO runs;',
    'ALTER TABLE `sessions` RENAME COLUMN title TO name',
    'ALTER TABLE sessions ADD COLUMN mood TEXT NOT NULL;',
    'ALTER TABLE sessions ADD `mood` text NOT NULL',
    'CREATE UNIQUE INDEX one ON sessions (title);',
    'DELETE FROM sessions;',
    'CREATE TRIGGER t AFTER INSERT ON sessions BEGIN SELECT 1; END',
  ])('that would break the running Worker is refused: %s', (sql) => {
    expect(notAdditive(sql)).not.toEqual([]);
  });

  it.each([
    'ALTER TABLE sessions ADD COLUMN mood TEXT;',
    "ALTER TABLE sessions ADD COLUMN mood TEXT NOT NULL DEFAULT 'good';",
    'CREATE TABLE moods (id TEXT PRIMARY KEY, mood TEXT NOT NULL); CREATE UNIQUE INDEX one ON moods (mood);',
    'CREATE INDEX sessions_mood ON sessions (mood);',
    "-- DROP TABLE sessions\nUPDATE sessions SET reason = 'RENAME' WHERE reason IS NULL;",
  ])('that adds is taken: %s', (sql) => {
    expect(notAdditive(sql)).toEqual([]);
  });
});
