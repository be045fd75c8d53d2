/** `npm run setup` on an imitated Cloudflare account: from nothing to a deployment, broken off anywhere, and repeated. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Account, emptyAccount, wrangler } from '../../dev/cloudflare/account.ts';
import type { Answers } from '../../dev/operate/answers.ts';
import { configurationOf } from '../../dev/operate/configuration.ts';
import { choicesOf, withChoices } from '../../dev/operate/configuration-choices.ts';
import { deployConfiguration } from '../../dev/operate/configuration-file.ts';
import { type DeployWorld, deploy } from '../../dev/operate/deploy-steps.ts';
import { withSecrets } from '../../dev/operate/secrets-file.ts';
import { type SetupWorld, setUp } from '../../dev/operate/setup-steps.ts';

const ADDRESS = 'https://cyrus.acme.workers.dev';
const MIGRATIONS = 12;
const answers: Answers = { name: 'cyrus', region: 'weur', jurisdiction: '', plan: 'max' };
const toml = readFileSync(new URL('../../wrangler.toml', import.meta.url), 'utf8');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cyrus-setup-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A machine with Docker on which `breaksAt`, the beginning of a command, fails. */
function machine(account: Account, { breaksAt = '', files = new Map([['wrangler.toml', toml]]) } = {}) {
  const ran: string[] = [];
  const told: string[] = [];
  const sent: { file: string; mode: number; names: string[] }[] = [];
  let targets: string[] = [];
  const read: DeployWorld['read'] = (command, args) => {
    const words = [command, ...args].join(' ');
    ran.push(words);
    if (breaksAt !== '' && words.startsWith(breaksAt))
      return { ok: false, out: '', err: '✘ [ERROR] the connection broke\n' };
    if (command !== 'wrangler') return { ok: true, out: '', err: '' };
    const { code, out, err } = wrangler(account, [...args], {
      address: ADDRESS,
      migrations: MIGRATIONS,
      record: (line) => {
        targets = JSON.parse(line).targets;
      },
    });
    return { ok: code === 0, out, err };
  };
  const world: DeployWorld = {
    read,
    show: (command, args) => (read(command, args).ok ? null : 'exit code 1'),
    tell: (words) => void told.push(words),
    ask: async (url) => ({ status: url === `${ADDRESS}/ready` ? 200 : 404, words: '' }),
    targets: () => targets,
    sleep: async () => {},
  };
  const setup: SetupWorld = {
    ...world,
    toml: { read: () => files.get('wrangler.toml') ?? '', write: (text) => void files.set('wrangler.toml', text) },
    secrets: {
      file: (name) => join(folder, `${name}.secrets`),
      read: (name) => JSON.parse(files.get(`${name}.json`) ?? '{}'),
      add: (name, fresh) => {
        const before = JSON.parse(files.get(`${name}.json`) ?? '{}');
        files.set(`${name}.json`, JSON.stringify({ ...before, ...fresh }));
      },
    },
    askSecret: async () => 'sk-ant-oat01-of-the-test',
    configurationOf,
    deploy: (name, args) => {
      const given = args[args.indexOf('--secrets-file') + 1];
      if (args.includes('--secrets-file') && given !== undefined) {
        sent.push({
          file: given,
          mode: statSync(given).mode & 0o777,
          names: Object.keys(JSON.parse(readFileSync(given, 'utf8'))),
        });
      }
      const { text, configuration } = deployConfiguration(files.get('wrangler.toml') ?? '', name);
      const file = join(folder, 'wrangler.deploy.toml');
      writeFileSync(file, text);
      return deploy(world, { args, file, configuration, problems: [], commit: 'abcdef0123456789', url: null });
    },
    address: () => targets[0] ?? null,
  };
  return { setup, ran, told, files, sent };
}

/** What commands change something in the account. */
function changes(ran: string[]): string[] {
  const changing =
    /^wrangler (login|d1 create|d1 migrations apply|r2 bucket create|r2 bucket lifecycle add|deploy (?!--dry-run))/;
  return ran.flatMap((words) => changing.exec(words)?.[1]?.trim() ?? []);
}

/** Each but the first two removes what sessions should have removed a year before. */
const RULES = ['unfinished-uploads', 'doctor', 'old-patches-545', 'old-shared-545', 'old-logs-730'].map(
  (name) => `cyrus-${name}`,
);

describe('a setup', () => {
  it('takes an empty account to a deployment whose database and bucket are where they were asked for', async () => {
    const account = structuredClone(emptyAccount);
    const { setup, told, ran } = machine(account);
    expect(await setUp(setup, answers, false)).toBeNull();
    expect(account.databases).toEqual([{ name: 'cyrus-db', location: 'weur', migrations: MIGRATIONS }]);
    expect(account.buckets).toEqual([{ name: 'cyrus-logs', location: 'weur', rules: RULES }]);
    const worker = account.workers.cyrus;
    expect(worker).toMatchObject({ database: 'cyrus-db', bucket: 'cyrus-logs', versions: [{ tag: 'abcdef012345' }] });
    expect(Object.keys(worker?.secrets ?? {}).toSorted()).toEqual(
      [
        'ACCESS_PASSWORD',
        'ADMIN_TOKEN',
        'CLAUDE_CODE_OAUTH_TOKEN',
        'ENCRYPTION_KEY',
        'LINEAR_WEBHOOK_SECRET',
        'SIGN_IN',
      ].toSorted(),
    );
    expect(atob(worker?.secrets.ENCRYPTION_KEY ?? '')).toHaveLength(32);
    expect(told.at(-1)).toContain(`${ADDRESS}/install`);
    // The database is there, so its migrations come before the Worker.
    expect(changes(ran).slice(-2)).toEqual(['d1 migrations apply', 'deploy']);
    expect(JSON.stringify(told)).not.toContain(worker?.secrets.ADMIN_TOKEN);
  });

  it('changes nothing by itself when it is asked what it would do, however often', async () => {
    const account = structuredClone(emptyAccount);
    const { setup, ran, told, files } = machine(account);
    for (let times = 0; times < 2; times++) expect(await setUp(setup, { ...answers, plan: 'api' }, true)).toBeNull();
    expect(account).toEqual(emptyAccount);
    expect(changes(ran)).toEqual([]);
    expect([...files]).toEqual([['wrangler.toml', toml]]);
    expect(told).toContain('Database: cyrus-db is made in weur (would be done)');
    expect(told).toContain('wrangler.toml: it is changed for cyrus: CLAUDE_CREDENTIAL = "api-key" (would be done)');
  });

  it('that is repeated makes nothing twice, and keeps every secret', async () => {
    const account = structuredClone(emptyAccount);
    const { setup, files } = machine(account);
    await setUp(setup, answers, false);
    const before = structuredClone(account);
    const again = machine(account, { files });
    expect(await setUp(again.setup, answers, false)).toBeNull();
    expect(account.databases).toEqual(before.databases);
    expect(account.buckets).toEqual(before.buckets);
    expect(account.workers.cyrus?.secrets).toEqual(before.workers.cyrus?.secrets);
    expect(again.told).toContain('Secrets: all are there (done)');
  });

  it('sends the secrets that are not stored yet, and leaves newer ones as they are', async () => {
    const account = structuredClone(emptyAccount);
    const { setup, files } = machine(account);
    await setUp(setup, answers, false);
    const secrets = account.workers.cyrus?.secrets ?? {};
    secrets.LINEAR_WEBHOOK_SECRET = 'the one of the application';
    secrets.ENCRYPTION_KEY = 'a rotated one';
    setup.secrets.add('cyrus', { ALERT_SLACK_URL: 'https://hooks.example/$HOME' });
    const again = machine(account, { files });
    expect(await setUp(again.setup, answers, false)).toBeNull();
    expect(account.workers.cyrus?.secrets).toEqual({ ...secrets, ALERT_SLACK_URL: 'https://hooks.example/$HOME' });
    expect(again.sent).toMatchObject([{ mode: 0o600, names: ['ALERT_SLACK_URL'] }]);
    // Nothing of it stays on the disk.
    expect(existsSync(again.sent[0]?.file ?? '')).toBe(false);
  });

  it('makes no key and deploys nothing if Cloudflare does not say which secrets are stored', async () => {
    const account = structuredClone(emptyAccount);
    await setUp(machine(account).setup, answers, false);
    const before = structuredClone(account.workers);
    // From another clone, so that no file has the keys either.
    const elsewhere = machine(account, { breaksAt: 'wrangler secret list' });
    for (const isDry of [false, true]) {
      expect(await setUp(elsewhere.setup, answers, isDry)).toMatch(/^Secrets: Cloudflare did not say which secrets/);
    }
    expect(elsewhere.files.has('cyrus.json')).toBe(false);
    expect(account.workers).toEqual(before);
  });

  it('that is repeated without saying it again changes neither how Claude is paid for nor where things are stored', async () => {
    const account = structuredClone(emptyAccount);
    const { setup, files } = machine(account);
    await setUp(setup, { ...answers, plan: 'api', jurisdiction: 'eu' }, false);
    const written = files.get('wrangler.toml') ?? '';
    expect(choicesOf(written)).toEqual({ plan: 'api', jurisdiction: 'eu' });
    expect(withChoices(written, { ...answers, ...choicesOf(written) }).text).toBe(written);
    expect(choicesOf(toml)).toEqual({ plan: 'max', jurisdiction: '' });
    expect(choicesOf(toml.replace('CLAUDE_PLAN = ""', 'CLAUDE_PLAN = "pro"')).plan).toBe('pro');
    const byHand = toml.replace('binding = "DB"\n', 'binding = "DB"\njurisdiction = "eu"\n');
    expect(withChoices(byHand, { ...answers, jurisdiction: 'eu' }).changes).toEqual([
      'jurisdiction = "eu" of [[r2_buckets]]',
    ]);
  });

  it('under another name does not change the choices of the deployment that wrangler.toml is of', async () => {
    const account = structuredClone(emptyAccount);
    const { setup, files } = machine(account);
    const staging: Answers = { ...answers, name: 'cyrus-staging', plan: 'api' };
    expect(await setUp(setup, staging, false)).toMatch(
      /^wrangler\.toml: it is cyrus's too, .* CLAUDE_CREDENTIAL = "api-key"\./,
    );
    expect(files.get('wrangler.toml')).toBe(toml);
  });

  it('replaces the rules of the bucket when things are to be kept for longer, and removes those that are not wanted any more', async () => {
    const account = structuredClone(emptyAccount);
    await setUp(machine(account).setup, answers, false);
    account.buckets[0]?.rules.push('cyrus-old-checkpoints-60', 'own-rule');
    const longer = toml
      .replace('RETENTION_LOG_DAYS = "365"', 'RETENTION_LOG_DAYS = "3650"')
      .replace('RETENTION_PATCH_DAYS = "180"', 'RETENTION_PATCH_DAYS = "0"');
    expect(longer.match(/RETENTION_(LOG_DAYS = "3650"|PATCH_DAYS = "0")/g)).toHaveLength(2);
    const { setup } = machine(account, { files: new Map([['wrangler.toml', longer]]) });
    expect(await setUp(setup, answers, false)).toBeNull();
    expect(account.buckets[0]?.rules).toEqual([
      ...['cyrus-unfinished-uploads', 'cyrus-doctor', 'own-rule', 'cyrus-old-logs-4015'],
    ]);
  });

  it('from another clone makes no other key for what is encrypted already', async () => {
    const account = structuredClone(emptyAccount);
    await setUp(machine(account).setup, answers, false);
    const key = account.workers.cyrus?.secrets.ENCRYPTION_KEY;
    const elsewhere = machine(account);
    expect(await setUp(elsewhere.setup, answers, false)).toBeNull();
    expect(account.workers.cyrus?.secrets.ENCRYPTION_KEY).toBe(key);
    expect(elsewhere.files.has('cyrus.json')).toBe(false);
  });

  it.each([
    'docker',
    'wrangler login',
    'wrangler d1 list',
    'wrangler d1 create',
    'wrangler r2 bucket create',
    'wrangler r2 bucket lifecycle add',
    'vite build',
    'wrangler deploy --dry-run',
    'wrangler d1 migrations apply',
    'wrangler deploy --config',
  ])('that breaks off at %s says so, and continues from there', async (breaksAt) => {
    const whole = structuredClone(emptyAccount);
    await setUp(machine(whole).setup, answers, false);
    const account = structuredClone(emptyAccount);
    const broken = machine(account, { breaksAt });
    const problem = await setUp(broken.setup, answers, false);
    expect(problem).toMatch(/it goes on from here\.$/);
    expect(account.workers).toEqual({});
    const secrets = broken.files.get('cyrus.json');
    const again = machine(account, { files: broken.files });
    expect(await setUp(again.setup, answers, false)).toBeNull();
    if (secrets !== undefined) expect(again.files.get('cyrus.json')).toBe(secrets);
    const shape = ({ databases, buckets, workers }: Account) => ({ databases, buckets, names: Object.keys(workers) });
    expect(shape(account)).toEqual(shape(whole));
  });

  it('says which plan is needed if the account has no containers', async () => {
    const account = { ...structuredClone(emptyAccount), loggedIn: true, isPaid: false };
    expect(await setUp(machine(account).setup, answers, false)).toMatch(/^Plan: .*Choose the Workers Paid plan/);
  });

  it('keeps what is stored in a jurisdiction, and says so in wrangler.toml', async () => {
    const account = structuredClone(emptyAccount);
    const { setup, files } = machine(account);
    await setUp(setup, { ...answers, jurisdiction: 'eu' }, false);
    expect(account.databases[0]?.location).toBe('eu');
    expect(account.buckets[0]?.location).toBe('eu');
    expect(files.get('wrangler.toml')?.match(/^jurisdiction = "eu"$/gm)).toHaveLength(2);
  });

  it('under another name shares nothing with the first', async () => {
    const account = structuredClone(emptyAccount);
    const { setup } = machine(account);
    await setUp(setup, answers, false);
    expect(await setUp(setup, { ...answers, name: 'cyrus-staging' }, false)).toBeNull();
    expect(account.workers['cyrus-staging']).toMatchObject({
      database: 'cyrus-staging-db',
      bucket: 'cyrus-staging-logs',
    });
    expect(account.workers['cyrus-staging']?.secrets.ENCRYPTION_KEY).not.toBe(
      account.workers.cyrus?.secrets.ENCRYPTION_KEY,
    );
  });

  it('asks for the credential of Claude, and says where to put it if nobody is there to ask', async () => {
    const { setup } = machine(structuredClone(emptyAccount));
    expect(await setUp({ ...setup, askSecret: async () => null }, answers, false)).toMatch(
      /^Secrets: CLAUDE_CODE_OAUTH_TOKEN is missing: put it into .*cyrus\.secrets/,
    );
  });
});

it('a secret that is added to a file leaves what is in it as it was written', () => {
  const before = '# by hand\nOTLP_HEADERS="x-key=a#b, c"\nGITHUB_APP_PRIVATE_KEY="-----BEGIN\nAAAA\n-----END"';
  const after = withSecrets(before, { A: 'it=is#$HOME "so"', B: "it's" });
  expect(after.startsWith(`${before}\n`)).toBe(true);
  expect(parseEnv(after)).toEqual({ ...parseEnv(before), A: 'it=is#$HOME "so"', B: "it's" });
  expect(() => withSecrets('', { C: "'`" })).toThrow(/^C has both/);
});
