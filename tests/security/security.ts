/**
 * `npm run test:security`: attacks on the running product, each by name with held or not held; then random requests over every route;
 * then a search for every secret that the system holds, after a session that tried to get at them.
 *
 * `--short`: the attacks and 500 random requests (what `.ci/run` does); `--requests N`: how many random requests (100,000); `--seed N`: makes them repeatable; `--only attacks|requests|secrets`;
 * `--name TEXT`: the attacks whose names have it.
 * The last line is one JSON object; exits with 1 where something is not held.
 */
import { parseArgs } from 'node:util';
import { type Claims, mintToken } from '../../src/gateway/token.ts';
import { endProcesses, makeFolder } from '../e2e/stage.ts';
import { type Attack, held } from './attack.ts';
import { gatewayAttacks } from './gateway-attacks.ts';
import { oauthAttacks } from './oauth-attacks.ts';
import { pageAttacks } from './page-attacks.ts';
import { plantedSecrets } from './planted-secrets.ts';
import { sendRandomRequests } from './random-requests.ts';
import { removalAttacks, revocationAttacks } from './revocation-attacks.ts';
import { workerRoutes } from './routes.ts';
import { Target } from './target.ts';
import { textAttacks } from './text-attacks.ts';
import { endedTokenAttacks, lostTokenAttacks, tokenAttacks } from './token-attacks.ts';
import { webhookAttacks } from './webhook-attacks.ts';

const { values } = parseArgs({
  options: {
    requests: { type: 'string' },
    seed: { type: 'string' },
    only: { type: 'string' },
    name: { type: 'string' },
    short: { type: 'boolean' },
  },
});
const folder = makeFolder();
/** Personal tokens that random requests use: each is limited by itself. */
const TOKENS = 20;
const count = Number(values.requests ?? (values.short ? 500 : 100_000));
const seed = Number(values.seed ?? 1);
const notHeld: string[] = [];
let tried = 0;

async function attempt({ name, attempt }: Attack, target: Target): Promise<void> {
  if (values.name !== undefined && !name.includes(values.name)) return;
  tried += 1;
  try {
    await attempt(target);
    console.log(`  held      ${name}`);
  } catch (error) {
    notHeld.push(name);
    const why = error instanceof Error && error.name === 'NotHeld' ? error.message : (error as Error).stack;
    console.log(`  NOT HELD  ${name}\n            ${why}`);
  }
}

async function run(): Promise<object> {
  const since = Date.now();
  const target = await Target.start(folder);
  try {
    const first = await target.works('The first session');
    const long = target.assign('At work', '[script: long-tool]');
    const atWork = await target.session(long);
    await target.untilAtWork(atWork);
    const live = target.claimsOf(atWork, long);
    const ended = target.claimsOf(first.session, first.thread);
    if (wants('attacks')) {
      const attacks = [
        ...webhookAttacks,
        ...pageAttacks(first.session.id),
        ...tokenAttacks(live),
        ...endedTokenAttacks(ended),
        ...(values.short ? [] : lostTokenAttacks(live)),
        ...(values.short ? [] : revocationAttacks),
        ...gatewayAttacks(live),
        ...oauthAttacks,
        ...textAttacks(live),
      ];
      for (const attack of attacks) await attempt(attack, target);
    }
    if (wants('secrets') && !values.short) for (const attack of plantedSecrets()) await attempt(attack, target);
    const random = wants('requests') ? await randomRequests(target, live, ended) : null;
    if (wants('attacks') && !values.short) for (const attack of removalAttacks) await attempt(attack, target);
    return { attacks: tried, notHeld, random, seconds: Math.round((Date.now() - since) / 1_000) };
  } finally {
    await target.close();
  }
}

function wants(what: string): boolean {
  return values.only === undefined || values.only === what;
}

/** Random requests over every route, and what the Worker's log and its work say afterwards. */
async function randomRequests(target: Target, live: Claims, ended: Claims): Promise<object> {
  const since = target.log().length;
  const other = { encryptionKey: btoa('k'.repeat(32)) };
  const tokens = await Promise.all([
    target.token(live),
    target.token(ended),
    target.token({ ...live, g: 7 }),
    target.token({ ...live, p: 'container' }),
    target.token({ ...live, ro: true }),
    target.token({ ...live, s: 'f'.repeat(64) }),
    target.token(live, -1),
    mintToken(other, live),
  ]);
  const [right] = tokens;
  const ofSandbox = [{ authorization: `Bearer ${right}` }, { authorization: `Basic ${btoa(`cyrus:${right}`)}` }];
  const ofBrowser = [await target.browserHeaders()];
  const ofPrograms = await Promise.all(Array.from({ length: TOKENS }, () => target.programHeaders()));
  const supply = {
    routes: await workerRoutes(),
    fitting: (path: string) => {
      if (path.startsWith('/gateway')) return ofSandbox;
      if (path.startsWith('/api/admin')) return [target.adminHeaders];
      return path.startsWith('/api/v1') ? ofPrograms : ofBrowser;
    },
    credentials: [
      {},
      target.password,
      target.adminHeaders,
      ...tokens.map((token) => ({ authorization: `Bearer ${token}` })),
      ...tokens.map((token) => ({ authorization: `Basic ${btoa(`cyrus:${token}`)}` })),
    ],
    sessionIds: [live.s, ended.s, 'f'.repeat(64), 'x'],
    webhooks: target.stack.linear.deliveries({}).map(({ body }) => body),
  };
  console.log(`            ${count} random requests over ${supply.routes.length} routes, seed ${seed}`);
  const outcome = await sendRandomRequests(target, supply, count, seed);
  const errors = errorsIn(target.log().slice(since));
  await attempt(
    {
      name: `None of ${count} random requests is answered by an error of Cyrus's own, or not at all`,
      attempt: async () => held(outcome.failures.join('\n            '), outcome.failures.length === 0),
    },
    target,
  );
  await attempt(
    {
      name: 'None of them leaves an error in the log that nobody handled',
      attempt: async () => held(errors.slice(0, 10).join('\n            '), errors.length === 0),
    },
    target,
  );
  await attempt(
    {
      name: 'Afterwards an issue comes to its pull request as before',
      attempt: async () => {
        await target.works('After the random requests');
      },
    },
    target,
  );
  return { ...outcome, routes: supply.routes.length, seed, errorsInLog: errors.length };
}

/** What the runtime, or Cyrus's last resort, had to say of an error. What the development server says of its own is passed over. */
function errorsIn(log: string): string[] {
  const lines = log.split('\n');
  return lines.flatMap((line, at) => {
    const isUncaught = /Uncaught|unhandled/i.test(line) && !line.includes('ProxyWorker');
    const isLastResort = /event: .*(request\.failed|gateway\.failed)/.test(line);
    return isUncaught || isLastResort
      ? [
          lines
            .slice(at, at + 9)
            .join(' ')
            .replace(/\s+/g, ' ')
            .slice(0, 400),
        ]
      : [];
  });
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    endProcesses(folder);
    process.exit(1);
  });
}
const report = await run().catch((error: unknown) => {
  console.error(error);
  return { failed: String(error) };
});
endProcesses(folder);
const ok = !('failed' in report) && notHeld.length === 0;
if (!ok) console.log(`\n  The logs are in ${folder}.`);
console.log(JSON.stringify({ ok, ...values, ...report }));
process.exit(ok ? 0 : 1);
