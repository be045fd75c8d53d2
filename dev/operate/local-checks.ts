/** What only the machine of an operator can tell of a deployment: login, stored secrets, what is in the files here, newest versions. */
import * as z from 'zod';
import { parseJson } from '../../src/lib/parse-json.ts';
import { bad, type Finding, good, isStored, skipped, type WorkerReport, warn } from '../../src/protocol/doctor.ts';
import type { Configuration } from './configuration.ts';
import type { Host } from './wrangler.ts';

const MOST_SKEW_MS = 60_000;
/** During a rotation of the key alone. */
const PASSING_SECRETS = ['ENCRYPTION_KEY_NEXT', 'ENCRYPTION_KEY_OLD'];

const loginSchema = z.looseObject({
  loggedIn: z.literal(true),
  email: z.string().nullish(),
  accounts: z.array(z.looseObject({ name: z.string(), id: z.string() })),
});
const secretsSchema = z.array(z.looseObject({ name: z.string() }));

/** Whether wrangler is logged in, and where. */
export function loginFinding(host: Host): Finding {
  const ran = host.read('wrangler', ['whoami', '--json']);
  const login = loginSchema.safeParse(parseJson(ran.out));
  if (!login.success) return bad('cloudflare login', 'wrangler is not logged in', 'npx wrangler login');
  const { accounts, email } = login.data;
  const who = email ?? 'a token';
  if (accounts.length === 1)
    return good('cloudflare login', `wrangler is logged in as ${who}, in ${accounts[0]?.name}`);
  return process.env.CLOUDFLARE_ACCOUNT_ID === undefined
    ? warn(
        'cloudflare login',
        `wrangler is logged in as ${who}, who has ${accounts.length} accounts`,
        `Say which one is meant: export CLOUDFLARE_ACCOUNT_ID=${accounts[0]?.id ?? '…'}`,
      )
    : good('cloudflare login', `wrangler is logged in as ${who}`);
}

/** Whether the secrets that a deployment requires are stored, and none of a rotation was left. */
export function secretFindings(host: Host, { name, requiredSecrets }: Configuration): Finding[] {
  const ran = host.read('wrangler', ['secret', 'list', '--name', name, '--format', 'json']);
  const stored = secretsSchema.safeParse(parseJson(ran.out));
  if (!stored.success) return [skipped('secrets', `wrangler did not list the secrets of ${name}`)];
  const names = stored.data.map((secret) => secret.name);
  const missing = requiredSecrets.filter((secret) => !names.includes(secret));
  const left = PASSING_SECRETS.filter((secret) => names.includes(secret));
  return [
    missing.length === 0
      ? good('secrets', 'Every secret that a deploy requires is stored')
      : bad('secrets', `${missing.join(', ')} is not stored`, `npx wrangler secret put ${missing[0]}`),
    ...left.map((secret) =>
      warn('secrets', `${secret} is still stored`, 'Finish the rotation of the key, see docs/admin-api.md.'),
    ),
  ];
}

/** Whether the variables of the Worker that runs are those of the file here. */
export function variableFinding({ variables }: Configuration, report: WorkerReport): Finding {
  // The Worker has usual values for what the file leaves out, and tells nothing of what may be stored.
  const names = Object.keys(variables).filter((name) => !isStored(name));
  const differing = names.filter((name) => (variables[name] ?? '') !== (report.variables[name] ?? ''));
  if (differing.length === 0) return good('wrangler.toml', 'What runs has the variables of wrangler.toml here');
  return warn(
    'wrangler.toml',
    `What runs has other variables than wrangler.toml here: ${differing.join(', ')}`,
    'A deploy from here changes them: put right what is wrong here, then npm run deploy.',
  );
}

/** Whether what runs was deployed from the commit that is checked out here. */
export function commitFinding(host: Host, { version }: WorkerReport): Finding {
  const here = host.read('git', ['rev-parse', 'HEAD']).out.trim();
  if (version === null || version.tag === '' || here === '') {
    return skipped('version', 'It is not known from which commit the Worker was deployed');
  }
  if (here.startsWith(version.tag)) return good('version', `What runs is the commit that is here, ${version.tag}`);
  return warn('version', `What runs is commit ${version.tag}, here is ${here.slice(0, 12)}`, 'npm run deploy');
}

/** Whether this machine's clock and the Worker's agree: a page may be refused for a wrong one. */
export function clockFinding({ at }: WorkerReport, now: number): Finding {
  const skew = Math.abs(now - at);
  if (skew <= MOST_SKEW_MS) return good('clock here', 'The clock of this machine agrees with that of the Worker');
  return warn('clock here', `The clock of this machine is ${Math.round(skew / 1000)} s off`, 'Set the clock here.');
}

/** Whether a newer Claude CLI than the pinned one is known. @param pinned as package.json has it */
export function cliFinding(host: Host, pinned: string): Finding {
  const ran = host.read('npm', ['view', '@anthropic-ai/claude-code', 'version', '--json']);
  const newest = z.string().safeParse(parseJson(ran.out));
  if (!newest.success) return skipped('claude cli', `It is ${pinned}; npm did not say what the newest is`);
  if (!isOlder(pinned, newest.data)) return good('claude cli', `It is ${pinned}, the newest`);
  return warn(
    'claude cli',
    `It is ${pinned}, and ${newest.data} is the newest`,
    'Update Cyrus. A newer CLI than the pinned one is untested.',
  );
}

function isOlder(one: string, other: string): boolean {
  const parts = (version: string) => version.split(/[.-]/).map((part) => Number.parseInt(part, 10) || 0);
  const [a, b] = [parts(one), parts(other)];
  for (let index = 0; index < 3; index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
