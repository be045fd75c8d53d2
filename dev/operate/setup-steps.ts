/**
 * The steps of `npm run setup`, in their order. Each looks at the world first: what is there stays as it is, so that a setup that broke
 * off goes on, and one that is repeated changes nothing.
 */
import { randomBytes } from 'node:crypto';
import * as z from 'zod';
import { parseJson } from '../../src/lib/parse-json.ts';
import type { Answers } from './answers.ts';
import type { Configuration } from './configuration.ts';
import { withChoices } from './configuration-choices.ts';
import { loginFinding } from './local-checks.ts';
import { withSecretsFile } from './secrets-file.ts';
import type { Host } from './wrangler.ts';

/** What a setup acts on beside the programs of a Host. */
export interface SetupWorld extends Host {
  /** wrangler.toml; `write` null: it is only read. */
  toml: { read(): string; write(text: string): void };
  /** The file with the secrets of this deployment, by name. */
  secrets: {
    file(name: string): string;
    read(name: string): Record<string, string>;
    /** Adds some to it; what is in it stays as it is. */
    add(name: string, fresh: Record<string, string>): void;
  };
  /** Asks for a secret without showing it; null: there is no terminal, or nothing was typed. */
  askSecret(question: string): Promise<string | null>;
  configurationOf(toml: string, name?: string): Configuration;
  /** `npm run deploy` with these arguments. @returns null, or what failed */
  deploy(name: string, args: string[]): Promise<string | null>;
  /** Address of the Worker that was deployed; null: not known. */
  address(): string | null;
}

/** What a step finds: it is done; or what it will do, and how. `problem`: it cannot be done. */
type Outlook =
  | { kind: 'done'; words: string }
  | { kind: 'todo'; words: string; act: () => Promise<string | null> | string | null }
  | { kind: 'problem'; words: string };

interface Step {
  name: string;
  look: () => Outlook | Promise<Outlook>;
}

/** @returns null when all of it is done, or would be; otherwise what to do */
export async function setUp(world: SetupWorld, answers: Answers, isDry: boolean): Promise<string | null> {
  for (const { name, look } of stepsOf(world, answers, isDry)) {
    const outlook = await look();
    if (outlook.kind === 'problem')
      return `${name}: ${outlook.words} Then run npm run setup again; it goes on from here.`;
    if (outlook.kind === 'done') {
      world.tell(`${name}: ${outlook.words} (done)`);
      continue;
    }
    world.tell(`${name}: ${outlook.words}${isDry ? ' (would be done)' : ''}`);
    if (isDry) continue;
    const why = await outlook.act();
    if (why !== null) return `${name}: ${why} Run npm run setup again; it goes on from here.`;
  }
  world.tell(isDry ? '\nNothing was changed.' : lastWords(world, answers));
  return null;
}

function lastWords(world: SetupWorld, { name }: Answers): string {
  const address = world.address() ?? 'https://<your worker>';
  return `
Cyrus runs. Two things are left, both in the browser: ${address}/install
It makes the application in Linear, takes its values, and adds Cyrus to a workspace.
It asks for a password: any user name, and ACCESS_PASSWORD in ${world.secrets.file(name)}. Keep that file where you keep passwords: Cloudflare shows a secret to nobody.
Afterwards: CYRUS_URL=${address} npm run doctor`;
}

function stepsOf(world: SetupWorld, answers: Answers, isDry: boolean): Step[] {
  const configuration = () => world.configurationOf(world.toml.read(), answers.name);
  return [
    { name: 'Docker', look: () => lookAtDocker(world) },
    { name: 'Cloudflare', look: () => lookAtLogin(world) },
    { name: 'Plan', look: () => lookAtPlan(world) },
    { name: 'wrangler.toml', look: () => lookAtChoices(world, answers) },
    { name: 'Secrets', look: () => lookAtSecrets(world, answers, isDry) },
    { name: 'Database', look: () => lookAtDatabase(world, answers, configuration()) },
    { name: 'Bucket', look: () => lookAtBucket(world, answers, configuration()) },
    { name: 'Rules of the bucket', look: () => lookAtRules(world, answers, configuration()) },
    { name: 'Worker', look: () => lookAtWorker(world, answers, isDry) },
  ];
}

/** The image is built on this machine. */
function lookAtDocker(world: SetupWorld): Outlook {
  if (world.read('docker', ['info', '--format', '{{.ServerVersion}}']).ok) return { kind: 'done', words: 'it runs' };
  return {
    kind: 'problem',
    words:
      'it does not run here, and the image of the sandbox is built by it. Start it, or deploy from Workers Builds (docs/install.md).',
  };
}

function lookAtLogin(world: SetupWorld): Outlook {
  const { verdict, words, remedy } = loginFinding(world);
  if (verdict === 'good') return { kind: 'done', words };
  if (verdict === 'warn') return { kind: 'problem', words: `${words}. ${remedy}.` };
  return {
    kind: 'todo',
    words: 'wrangler opens a browser, where you allow it to act for you',
    act: () => {
      const why = world.show('wrangler', ['login']);
      return why === null ? null : `wrangler login failed (${why}).`;
    },
  };
}

/** Containers are for paying accounts alone, and they are what Cyrus needs of the plan. */
function lookAtPlan(world: SetupWorld): Outlook {
  const ran = world.read('wrangler', ['containers', 'list', '--json']);
  if (ran.ok) return { kind: 'done', words: 'the account may run containers' };
  if (isLoggedIn(world)) {
    const said = ran.err.trim().split('\n')[0] ?? '';
    return {
      kind: 'problem',
      words: `the account may not run containers (${said}). Choose the Workers Paid plan: https://dash.cloudflare.com/?to=/:account/workers/plans.`,
    };
  }
  return { kind: 'done', words: 'it is looked at once wrangler is logged in' };
}

/** Somebody who has to choose an account is logged in. */
function isLoggedIn(world: Host): boolean {
  return loginFinding(world).verdict !== 'bad';
}

function lookAtChoices(world: SetupWorld, answers: Answers): Outlook {
  const before = world.toml.read();
  const { text, words, changes } = withChoices(before, answers);
  if (text === before) return { kind: 'done', words: 'it says what you chose' };
  const { name: owner } = world.configurationOf(before);
  if (owner !== answers.name) {
    return {
      kind: 'problem',
      words: `it is ${owner}'s too, whose next deploy would change: ${changes.join(', ')}. Leave these choices out, or set ${answers.name} up from a copy of this folder whose wrangler.toml has its name.`,
    };
  }
  return {
    kind: 'todo',
    words,
    act: () => {
      world.toml.write(text);
      return null;
    },
  };
}

const secretsSchema = z.array(z.looseObject({ name: z.string() }));

/** Those that Cyrus needs and nobody has to think of. */
const GENERATED: Record<string, () => string> = {
  ENCRYPTION_KEY: () => randomBytes(32).toString('base64'),
  ADMIN_TOKEN: () => randomBytes(24).toString('hex'),
  ACCESS_PASSWORD: () => randomBytes(12).toString('hex'),
  // Linear's own takes its place on /install.
  LINEAR_WEBHOOK_SECRET: () => randomBytes(24).toString('hex'),
};

/**
 * Secrets that the Worker has; none before the first deploy.
 * @returns null: Cloudflare did not say, and a key that is made now could take the place of one that is in use
 */
function storedSecrets(world: Host, name: string): string[] | null {
  const ran = world.read('wrangler', ['secret', 'list', '--name', name, '--format', 'json']);
  if (ran.ok) return secretsSchema.safeParse(parseJson(ran.out)).data?.map((secret) => secret.name) ?? null;
  return /\b10007\b|Worker (".*" )?(does not exist|not found)/i.test(`${ran.err}\n${ran.out}`) ? [] : null;
}

const UNKNOWN_SECRETS: Outlook = {
  kind: 'problem',
  words:
    'Cloudflare did not say which secrets are stored (wrangler secret list), so none was made or sent. Look whether cloudflarestatus.com reports something.',
};

function lookAtSecrets(world: SetupWorld, { name, plan }: Answers, isDry: boolean): Outlook {
  const stored = storedSecrets(world, name);
  if (stored === null) {
    if (!isDry || isLoggedIn(world)) return UNKNOWN_SECRETS;
    return { kind: 'done', words: 'they are looked at once wrangler is logged in' };
  }
  const file = world.secrets.read(name);
  const missing = Object.keys(GENERATED).filter((secret) => !stored.includes(secret) && file[secret] === undefined);
  const claude = plan === 'api' ? 'ANTHROPIC_API_KEY' : 'CLAUDE_CODE_OAUTH_TOKEN';
  const isClaudeKnown = [...stored, ...Object.keys(file)].some(
    (secret) => secret === claude || secret === 'CLAUDE_CODE_OAUTH_TOKENS',
  );
  if (missing.length === 0 && isClaudeKnown) return { kind: 'done', words: 'all are there' };
  const made = missing.length === 0 ? '' : `${missing.join(', ')} are made and written to ${world.secrets.file(name)}`;
  const asked = isClaudeKnown ? '' : `${claude} is asked for`;
  return {
    kind: 'todo',
    words: [made, asked].filter((part) => part !== '').join('; '),
    act: async () => {
      const fresh = Object.fromEntries(missing.map((secret) => [secret, GENERATED[secret]?.() ?? '']));
      // A new deployment's people sign in as themselves; one that has run before stays as it is.
      if (missing.includes('ENCRYPTION_KEY') && file.SIGN_IN === undefined) fresh.SIGN_IN = 'linear';
      world.secrets.add(name, fresh);
      if (isClaudeKnown) return null;
      const where = plan === 'api' ? 'of console.anthropic.com' : 'printed by: claude setup-token';
      const token = process.env[claude] ?? (await world.askSecret(`${claude} (${where}): `));
      if (token === null)
        return `${claude} is missing: put it into ${world.secrets.file(name)}, or into the environment.`;
      world.secrets.add(name, { [claude]: token });
      return null;
    },
  };
}

const databasesSchema = z.array(z.looseObject({ name: z.string() }));

function lookAtDatabase(world: SetupWorld, { region, jurisdiction }: Answers, { database }: Configuration): Outlook {
  const databases = databasesSchema.safeParse(parseJson(world.read('wrangler', ['d1', 'list', '--json']).out));
  if (databases.success && databases.data.some(({ name }) => name === database)) {
    return { kind: 'done', words: `${database} is there` };
  }
  const where = jurisdiction === '' ? ['--location', region] : ['--jurisdiction', jurisdiction];
  return {
    kind: 'todo',
    words: `${database} is made in ${jurisdiction || region}`,
    act: () => {
      if (!databases.success) return 'Cloudflare did not say which databases there are (wrangler d1 list).';
      return said(
        world.read('wrangler', ['d1', 'create', database, ...where, '--update-config=false']),
        'wrangler d1 create',
      );
    },
  };
}

function lookAtBucket(world: SetupWorld, { region, jurisdiction }: Answers, { bucket }: Configuration): Outlook {
  const where = jurisdiction === '' ? [] : ['--jurisdiction', jurisdiction];
  const known = world.read('wrangler', ['r2', 'bucket', 'info', bucket, '--json', ...where]);
  if (known.ok) return { kind: 'done', words: `${bucket} is there` };
  const place = jurisdiction === '' ? ['--location', region] : where;
  return {
    kind: 'todo',
    words: `${bucket} is made in ${jurisdiction || region}`,
    act: () => {
      const ran = world.read('wrangler', ['r2', 'bucket', 'create', bucket, ...place, '--update-config=false']);
      return said(ran, 'wrangler r2 bucket create');
    },
  };
}

/** Rules of this name delete by the age of an object. The days are in the name, so that other days are another rule. */
const OLD_RULE = /\bcyrus-old-[a-z0-9-]+/g;

/**
 * What a crash may leave behind, and a net below what sessions remove themselves, a year later: what is old may be of a session that is not.
 * There is none below checkpoints: one may hold work that is nowhere else, or an old object that a session of today builds on.
 */
function rulesOf(variables: Readonly<Record<string, string>>): [name: string, prefix: string, how: string[]][] {
  const net = (prefix: string, variable: string): [string, string, string[]][] => {
    const kept = Number(variables[variable] ?? 0);
    const days = String(kept + 365);
    return kept > 0 ? [[`cyrus-old-${prefix}-${days}`, `${prefix}/`, ['--expire-days', days]]] : [];
  };
  return [
    ['cyrus-unfinished-uploads', '', ['--abort-multipart-days', '2']],
    ['cyrus-doctor', 'doctor/', ['--expire-days', '1']],
    ...net('patches', 'RETENTION_PATCH_DAYS'),
    ...net('shared', 'RETENTION_PATCH_DAYS'),
    ...net('logs', 'RETENTION_LOG_DAYS'),
  ];
}

function lookAtRules(world: SetupWorld, { jurisdiction }: Answers, { bucket, variables }: Configuration): Outlook {
  const where = jurisdiction === '' ? [] : ['--jurisdiction', jurisdiction];
  const known = world.read('wrangler', ['r2', 'bucket', 'lifecycle', 'list', bucket, ...where]);
  const rules = rulesOf(variables);
  const old: readonly string[] = known.ok ? (known.out.match(OLD_RULE) ?? []) : [];
  // A rule of the days before would delete what is to be kept for longer now.
  const outdated = old.filter((name) => rules.every(([wanted]) => wanted !== name));
  const missing = rules.filter(
    ([name]) => !known.ok || !(name.startsWith('cyrus-old-') ? old.includes(name) : known.out.includes(name)),
  );
  if (missing.length + outdated.length === 0) return { kind: 'done', words: 'they are there' };
  return {
    kind: 'todo',
    words:
      'uploads that broke off are deleted after two days, and what sessions should have removed a year after that time',
    act: () => {
      for (const name of outdated) {
        const args = ['r2', 'bucket', 'lifecycle', 'remove', bucket, '--name', name, ...where];
        const why = said(world.read('wrangler', args), 'wrangler r2 bucket lifecycle remove');
        if (why !== null) return why;
      }
      for (const [name, prefix, how] of missing) {
        const args = ['r2', 'bucket', 'lifecycle', 'add', bucket, name, prefix, ...how, ...where, '--force'];
        const why = said(world.read('wrangler', args), 'wrangler r2 bucket lifecycle add');
        if (why !== null) return why;
      }
      return null;
    },
  };
}

function lookAtWorker(world: SetupWorld, { name }: Answers, isDry: boolean): Outlook {
  const stored = storedSecrets(world, name);
  if (stored === null && (!isDry || isLoggedIn(world))) return UNKNOWN_SECRETS;
  return {
    kind: 'todo',
    words:
      stored?.length === 0 ? `${name} is deployed for the first time, which takes some minutes` : `${name} is deployed`,
    act: async () => {
      // One that is stored may be newer than the file: it was rotated, or is Linear's own.
      const fresh = Object.entries(world.secrets.read(name)).filter(([secret]) => stored?.includes(secret) === false);
      if (fresh.length === 0) return world.deploy(name, []);
      return withSecretsFile(Object.fromEntries(fresh), (file) => world.deploy(name, ['--secrets-file', file]));
    },
  };
}

function said(ran: { ok: boolean; out: string; err: string }, command: string): string | null {
  if (ran.ok) return null;
  const words = `${ran.err}\n${ran.out}`.split('\n').find((line) => line.trim() !== '');
  return `${command} failed: ${words?.trim() ?? 'it said nothing'}.`;
}
