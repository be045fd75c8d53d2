import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { notAdditive } from '../../dev/checks/additive-migrations.ts';
import { configurationOf } from '../../dev/operate/configuration.ts';
import { deployConfiguration } from '../../dev/operate/configuration-file.ts';
import { type DeployOptions, type DeployWorld, deploy } from '../../dev/operate/deploy-steps.ts';

const configuration = {
  name: 'cyrus',
  database: 'cyrus-db',
  bucket: 'cyrus-logs',
  variables: {},
  requiredSecrets: [],
  containers: ['SandboxContainer'],
};
const usual: DeployOptions = {
  args: [],
  file: 'deploy.toml',
  configuration,
  problems: [],
  commit: null,
  url: 'https://c.example',
};

interface Given {
  exists?: boolean;
  /** Words of the command that fails. */
  failing?: string;
  /** What commands print, by their beginning. */
  prints?: Record<string, string>;
  ready?: () => { status: number; words: string } | null;
}

/** A deployment on which commands succeed. */
function world({ exists = true, failing = '', prints = {}, ready = () => ({ status: 200, words: '' }) }: Given = {}) {
  const ran: string[] = [];
  const told: string[] = [];
  const list = JSON.stringify([{ name: 'other' }, ...(exists ? [{ name: 'cyrus-db' }] : [])]);
  const printed: Record<string, string> = { 'wrangler d1 list': list, ...prints };
  const host: DeployWorld = {
    show(command, args) {
      const words = [command, ...args].join(' ');
      const isFailing = failing !== '' && words.startsWith(failing);
      ran.push(isFailing ? `failed: ${words}` : words);
      return isFailing ? 'exit code 1' : null;
    },
    read(command, args) {
      const words = [command, ...args].join(' ');
      ran.push(words);
      const known = Object.keys(printed).find((beginning) => words.startsWith(beginning));
      return { ok: known !== undefined, out: known === undefined ? '' : (printed[known] ?? ''), err: '' };
    },
    tell: (words) => void told.push(words),
    ask: async () => ready(),
    targets: () => [],
    sleep: async () => {},
  };
  const kinds = () =>
    ran.flatMap((words) => {
      if (words.includes('migrations apply')) return ['database'];
      if (words.includes('--dry-run')) return ['rehearsal'];
      if (words.includes('wrangler deploy')) return ['worker'];
      return words.includes('vite') ? ['page'] : [];
    });
  return { host, ran, told, kinds };
}

describe('a deploy', () => {
  it('brings the database up to date before the Worker changes, if there is one', async () => {
    const { host, kinds } = world();
    expect(await deploy(host, usual)).toBeNull();
    expect(kinds()).toEqual(['page', 'rehearsal', 'database', 'worker']);
  });

  it('makes the database by the first deploy', async () => {
    const { host, kinds } = world({ exists: false });
    expect(await deploy(host, usual)).toBeNull();
    expect(kinds()).toEqual(['page', 'rehearsal', 'worker', 'database']);
  });

  it.each([
    ['the page', 'vite build', ['page']],
    ['the image or the bundle', 'wrangler deploy --dry-run', ['page', 'rehearsal']],
    ['a migration', 'wrangler d1 migrations', ['page', 'rehearsal', 'database']],
  ])('stops before the Worker changes when %s fails, and says so', async (_what, failing, kinds) => {
    const run = world({ failing });
    expect(await deploy(run.host, usual)).toMatch(/Nothing was changed|the one from before/);
    expect(run.kinds()).toEqual(kinds);
  });

  it('changes nothing if a migration is not additive', async () => {
    const { host, ran } = world();
    expect(await deploy(host, { ...usual, problems: ['0009.sql: it drops a table'] })).toContain('0009.sql');
    expect(ran).toEqual([]);
  });

  it('changes nothing if Cloudflare does not say whether the database is there', async () => {
    const { host, kinds } = world({ prints: { 'wrangler d1 list': 'You are not logged in.' } });
    expect(await deploy(host, usual)).toContain('Nothing was changed');
    expect(kinds()).toEqual(['page', 'rehearsal']);
  });

  it('hands its arguments on, to the rehearsal too, and names the commit', async () => {
    const { host, ran } = world();
    await deploy(host, { ...usual, args: ['--secrets-file', 'production.secrets'], commit: '0123456789abcdef' });
    expect(ran.filter((words) => words.includes('--secrets-file production.secrets'))).toHaveLength(2);
    expect(ran.filter((words) => words.includes('--tag 0123456789ab'))).toHaveLength(1);
  });

  it('says first where the database can be taken back to', async () => {
    const { host, told } = world({ prints: { 'wrangler d1 time-travel info': '{"bookmark":"0000-1"}' } });
    await deploy(host, usual);
    const at = told.findIndex((words) =>
      words.includes('npx wrangler d1 time-travel restore cyrus-db --bookmark=0000-1'),
    );
    expect(at).toBeGreaterThan(0);
    expect(at).toBeLessThan(told.findIndex((words) => words.includes('Bringing the database up to date')));
  });

  it('waits until the Worker is ready, and says what is not if that lasts', async () => {
    let asked = 0;
    const soon = world({ ready: () => (++asked < 3 ? null : { status: 200, words: '' }) });
    expect(await deploy(soon.host, usual)).toBeNull();
    expect(asked).toBe(3);
    const never = world({ ready: () => ({ status: 503, words: 'The database is behind' }) });
    expect(await deploy(never.host, usual)).toMatch(/not ready within 180 s: The database is behind\. Run CYRUS_URL=/);
  });

  it('waits for the Worker that was deployed, whichever address the environment names', async () => {
    const { host, told } = world();
    const targets = ['schedule: */5 * * * *', 'acme.example/*', 'staging.acme.example (custom domain)'];
    await deploy({ ...host, targets: () => targets }, usual);
    expect(told).toContain('Ready: https://staging.acme.example');
    const none = world();
    await deploy({ ...none.host, targets: () => ['schedule: */5 * * * *'] }, usual);
    expect(none.told).toContain('Ready: https://c.example');
  });

  it('deletes images that neither run nor belong to one of the last three versions', async () => {
    const tags = ['00000001', '00000002', '00000003', '00000004', '00000005'];
    const images = [
      { name: 'cyrus-sandboxcontainer', tags },
      { name: 'other-sandboxcontainer', tags: ['00000001'] },
      // Another deployment, whose name begins with this one's.
      { name: 'cyrus-staging-sandboxcontainer', tags: ['00000002', '00000009'] },
    ];
    const versions = tags.map((tag, day) => ({ id: `${tag}-0000`, metadata: { created_on: `2026-11-0${day + 1}` } }));
    const prints = {
      'wrangler containers images list': JSON.stringify(images),
      'wrangler versions list': JSON.stringify(versions),
      // What runs is an old one: it was not rolled out yet.
      'wrangler containers list': JSON.stringify([
        { image: 'registry/account/cyrus-sandboxcontainer:00000001' },
        { image: 'registry/account/cyrus-staging-sandboxcontainer:00000009' },
      ]),
      'wrangler containers images delete': '',
    };
    const { host, ran } = world({ prints });
    await deploy(host, usual);
    expect(ran.filter((words) => words.includes('images delete'))).toEqual([
      'wrangler containers images delete cyrus-sandboxcontainer:00000002 --skip-confirmation',
    ]);
    const blind = world({ prints: { ...prints, 'wrangler containers list': '[]' } });
    await deploy(blind.host, usual);
    expect(blind.ran.filter((words) => words.includes('images delete'))).toEqual([]);
  });
});

describe('the configuration of a deploy', () => {
  const toml =
    'name = "cyrus"\n[vars]\nPAUSED = "false"\n[[d1_databases]]\nbinding = "DB"\n[[r2_buckets]]\nbinding = "LOGS"\n';

  it('names database and bucket, so that those that are there are found', () => {
    const { text } = deployConfiguration(toml, undefined);
    expect(text).toContain('[[d1_databases]]\ndatabase_name = "cyrus-db"');
    expect(text).toContain('[[r2_buckets]]\nbucket_name = "cyrus-logs"');
    const own = deployConfiguration(
      toml.replace('binding = "DB"', 'binding = "DB"\ndatabase_name = "mine"'),
      undefined,
    );
    expect(own.configuration.database).toBe('mine');
    expect(own.text.match(/database_name/g)).toHaveLength(1);
  });

  it('of another name has nothing in common with that of the file', () => {
    const mine = toml.replace('binding = "DB"', 'binding = "DB"\ndatabase_name = "mine"\ndatabase_id = "1"');
    const { text, configuration } = deployConfiguration(mine, 'staging');
    expect(configuration).toMatchObject({ name: 'staging', database: 'staging-db', bucket: 'staging-logs' });
    expect(text).toContain('name = "staging"');
    expect(text).not.toMatch(/mine|database_id/);
  });

  it('is read with its variables as they are written', () => {
    const text =
      'name = "c"\n[vars]\nA = "x"  # why\nB = ""\nC = true\nD = "say \\"hi\\""\n[secrets]\nrequired = ["K"]\n[[containers]]\nclass_name = "One"\n[[containers]]\nimage = "i"\nclass_name = "Two"\n';
    expect(configurationOf(text)).toMatchObject({
      variables: { A: 'x', B: '', C: 'true', D: 'say "hi"' },
      requiredSecrets: ['K'],
      containers: ['One', 'Two'],
    });
  });
});

describe('a migration', () => {
  it('of this repository adds only: the Worker from before continues with it', () => {
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
