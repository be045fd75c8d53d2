/**
 * A Cloudflare account as wrangler 4.164 shows it, for setups and deploys that are tried without one: what a command prints, how it
 * ends, and what it changes. Written down from the sources of wrangler; what it does not know it refuses.
 */
import { existsSync, readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import * as z from 'zod';
import { parseJson } from '../../src/lib/parse-json.ts';

const workerSchema = z.object({
  secrets: z.record(z.string(), z.string()),
  /** Newest last. */
  versions: z.array(z.object({ id: z.string(), createdOn: z.string(), tag: z.string() })),
  database: z.string(),
  bucket: z.string(),
});

export const accountSchema = z.object({
  loggedIn: z.boolean(),
  /** Free accounts have no containers. */
  isPaid: z.boolean(),
  databases: z.array(z.object({ name: z.string(), location: z.string(), migrations: z.number() })),
  buckets: z.array(z.object({ name: z.string(), location: z.string(), rules: z.array(z.string()) })),
  workers: z.record(z.string(), workerSchema),
  images: z.array(z.object({ name: z.string(), tags: z.array(z.string()) })),
});
export type Account = z.infer<typeof accountSchema>;

export const emptyAccount: Account = {
  loggedIn: false,
  isPaid: true,
  databases: [],
  buckets: [],
  workers: {},
  images: [],
};

export interface Answer {
  code: number;
  out: string;
  err: string;
}

/** What a command is given beside its words. */
export interface Surroundings {
  /** Address of every Worker that is deployed. */
  address: string;
  /** How many migrations there are. */
  migrations: number;
  /** Takes a line of what wrangler writes to WRANGLER_OUTPUT_FILE_PATH. */
  record: (line: string) => void;
}

type Command = (account: Account, args: string[], around: Surroundings) => Answer;

/** Carries out a command and changes the account. @param args as wrangler is called */
export function wrangler(account: Account, args: string[], around: Surroundings): Answer {
  const words = args.join(' ');
  const name = Object.keys(COMMANDS).find((each) => words === each || words.startsWith(`${each} `));
  const command = name === undefined ? undefined : COMMANDS[name];
  if (!command || name === undefined) return refuse(`Unknown arguments: ${words}`);
  const isOpen = name === 'login' || name === 'whoami' || args.includes('--dry-run');
  if (!account.loggedIn && !isOpen) {
    return refuse('You are not authenticated. Please run `wrangler login`.');
  }
  return command(account, args.slice(name.split(' ').length), around);
}

const COMMANDS: Record<string, Command> = {
  login: (account) => {
    account.loggedIn = true;
    return say('Successfully logged in.');
  },
  whoami: (account, args) => {
    if (!account.loggedIn) return { ...sayJson({ loggedIn: false }), code: 1 };
    const accounts = [{ id: 'account-1', name: 'Acme' }];
    const shown = { loggedIn: true, authType: 'OAuth Token', email: 'ada@acme.example', accounts };
    return args.includes('--json') ? sayJson(shown) : say('You are logged in.');
  },
  'containers list': (account) =>
    account.isPaid ? sayJson(runningImages(account)) : refuse('A request to the Cloudflare API failed: Unauthorized'),
  'containers images list': (account) => sayJson(account.images),
  'containers images delete': (account, [image = '']) => {
    const [name, tag = ''] = image.split(':');
    const known = account.images.find((each) => each.name === name && each.tags.includes(tag));
    if (!known) return refuse(`Image ${image} not found`);
    known.tags = known.tags.filter((each) => each !== tag);
    return say(`Deleted ${image}`);
  },
  'd1 list': (account) => sayJson(account.databases.map(({ name }) => ({ name, uuid: `id-of-${name}` }))),
  'd1 create': (account, args) => {
    const [name = ''] = args;
    if (account.databases.some((each) => each.name === name)) return refuse(`A database named ${name} already exists.`);
    const location = optionOf(args, '--location') ?? optionOf(args, '--jurisdiction') ?? 'near this machine';
    account.databases.push({ name, location, migrations: 0 });
    return say(`✅ Successfully created DB '${name}' using primary location hint ${location}`);
  },
  'd1 migrations apply': (account, args, { migrations }) => {
    const name = configured(args, 'database_name') ?? `${configured(args, 'name')}-db`;
    const known = account.databases.find((each) => each.name === name);
    if (!known) return refuse(`Couldn't find a D1 DB with name or binding 'DB' in your config or the API.`);
    if (known.migrations === migrations) return say('✅ No migrations to apply!');
    known.migrations = migrations;
    return say('Migrations to be applied:');
  },
  'd1 time-travel info': (account, [name]) =>
    account.databases.some((each) => each.name === name)
      ? sayJson({ bookmark: `0000-bookmark-of-${name}` })
      : refuse(`Couldn't find a D1 DB with name or binding '${name}' in your config or the API.`),
  'r2 bucket info': (account, [name]) => {
    const known = account.buckets.find((each) => each.name === name);
    return known ? sayJson(known) : refuse('The specified bucket does not exist. [code: 10006]');
  },
  'r2 bucket create': (account, args) => {
    const [name = ''] = args;
    if (account.buckets.some((each) => each.name === name))
      return refuse('The bucket you tried to create already exists');
    const location = optionOf(args, '--location') ?? optionOf(args, '--jurisdiction') ?? 'near this machine';
    account.buckets.push({ name, location, rules: [] });
    return say(`✅ Created bucket '${name}' with default storage class of Standard.`);
  },
  'r2 bucket lifecycle list': (account, [name]) => {
    const known = account.buckets.find((each) => each.name === name);
    if (!known) return refuse('The specified bucket does not exist. [code: 10006]');
    const heading = `Listing lifecycle rules for bucket '${name}'...\n`;
    return say(
      heading +
        (known.rules.map((rule) => `name:     ${rule}\nenabled:  Yes`).join('\n\n') || 'There are no lifecycle rules'),
    );
  },
  'r2 bucket lifecycle add': (account, [name, rule = '']) => {
    const known = account.buckets.find((each) => each.name === name);
    if (!known) return refuse('The specified bucket does not exist. [code: 10006]');
    known.rules.push(rule);
    return say(`✨ Added lifecycle rule '${rule}' to bucket '${name}'.`);
  },
  'r2 bucket lifecycle remove': (account, [name, ...args]) => {
    const known = account.buckets.find((each) => each.name === name);
    const rule = optionOf(args, '--name') ?? '';
    if (!known?.rules.includes(rule)) return refuse(`Lifecycle rule with ID '${rule}' not found.`);
    known.rules = known.rules.filter((each) => each !== rule);
    return say(`Lifecycle rule '${rule}' removed from bucket '${name}'.`);
  },
  'secret list': (account, args) => {
    const known = account.workers[optionOf(args, '--name') ?? ''];
    if (!known) return refuse('Worker "cyrus" not found. [code: 10007]');
    return sayJson(Object.keys(known.secrets).map((name) => ({ name, type: 'secret_text' })));
  },
  'versions list': (account, args) => {
    const known = account.workers[optionOf(args, '--name') ?? ''];
    if (!known) return refuse('This Worker does not exist on your account. [code: 10007]');
    const shown = known.versions.map(({ id, createdOn, tag }) => ({
      id,
      metadata: { created_on: createdOn },
      annotations: { 'workers/tag': tag },
    }));
    return sayJson(shown);
  },
  deploy,
};

function deploy(account: Account, args: string[], { address, record }: Surroundings): Answer {
  const name = configured(args, 'name') ?? 'cyrus';
  if (args.includes('--dry-run')) return say('--dry-run: exiting now.');
  const before = account.workers[name];
  const file = optionOf(args, '--secrets-file');
  if (file !== undefined && !existsSync(file)) return refuse(`The secrets file ${file} does not exist`);
  const given = file === undefined ? {} : secretsOf(readFileSync(file, 'utf8'));
  const secrets = { ...before?.secrets, ...given };
  const required = /^required\s*=\s*\[(.*)\]/m.exec(configurationOf(args))?.[1] ?? '';
  const missing = [...required.matchAll(/"([^"]+)"/g)]
    .map(([, secret = '']) => secret)
    .filter((secret) => !secrets[secret]);
  if (missing.length > 0) return refuse(`The following required secrets have not been set: ${missing.join(', ')}`);
  const database = configured(args, 'database_name') ?? `${name}-db`;
  const bucket = configured(args, 'bucket_name') ?? `${name}-logs`;
  // What is not there is made near the one who deploys.
  if (!account.databases.some((each) => each.name === database)) {
    account.databases.push({ name: database, location: 'near this machine', migrations: 0 });
  }
  if (!account.buckets.some((each) => each.name === bucket)) {
    account.buckets.push({ name: bucket, location: 'near this machine', rules: [] });
  }
  const number = (before?.versions.length ?? 0) + 1;
  const beginning = String(number).padStart(8, '0');
  const version = {
    id: `${beginning}-0000-4000-8000-000000000000`,
    createdOn: new Date(Date.UTC(2026, 10, number)).toISOString(),
    tag: optionOf(args, '--tag') ?? '',
  };
  const versions = [...(before?.versions ?? []), version];
  account.workers[name] = { secrets: definedOf(secrets), versions, database, bucket };
  const image = `${name}-sandboxcontainer`;
  const images = account.images.find((each) => each.name === image);
  if (images) images.tags.push(beginning);
  else account.images.push({ name: image, tags: [beginning] });
  record(JSON.stringify({ type: 'deploy', version: 1, worker_name: name, version_id: version.id, targets: [address] }));
  return say(`Deployed ${name} triggers\n  ${address}\nCurrent Version ID: ${version.id}`);
}

/** JSON, or else lines NAME=value, as wrangler reads such a file. */
function secretsOf(text: string): Record<string, string | undefined> {
  const known = z.record(z.string(), z.string()).safeParse(parseJson(text));
  return known.success ? known.data : parseEnv(text);
}

/** The newest version of each Worker is what its containers run. */
function runningImages(account: Account): object[] {
  return Object.entries(account.workers).map(([name, { versions }]) => ({
    name: `${name}-sandboxcontainer`,
    image: `registry.cloudflare.com/account-1/${name}-sandboxcontainer:${versions.at(-1)?.id.split('-')[0]}`,
  }));
}

function configurationOf(args: string[]): string {
  const file = optionOf(args, '--config');
  return file === undefined ? '' : readFileSync(file, 'utf8');
}

function configured(args: string[], key: string): string | undefined {
  return new RegExp(`^${key}\\s*=\\s*"([^"]+)"`, 'm').exec(configurationOf(args))?.[1];
}

function optionOf(args: string[], option: string): string | undefined {
  const at = args.indexOf(option);
  return at < 0 ? undefined : args[at + 1];
}

function definedOf(values: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

function say(out: string): Answer {
  return { code: 0, out: `${out}\n`, err: '' };
}

function sayJson(value: unknown): Answer {
  return say(JSON.stringify(value, null, 2));
}

function refuse(words: string): Answer {
  return { code: 1, out: '', err: `✘ [ERROR] ${words}\n` };
}
