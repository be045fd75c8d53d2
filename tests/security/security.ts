/**
 * `npm run test:security`: attacks on the running product, each by name with held or not held; then random requests over every route;
 * then a search for every secret that the system holds, after a session that tried to get at them.
 *
 * `--requests N`: how many random requests (100,000); `--seed N`: makes them repeatable; `--only attacks|requests|secrets`.
 * The last line is one JSON object; exits with 1 where something is not held.
 */
import { parseArgs } from 'node:util';
import { endProcesses, makeFolder } from '../e2e/stage.ts';
import type { Attack } from './attack.ts';
import { gatewayAttacks } from './gateway-attacks.ts';
import { pageAttacks } from './page-attacks.ts';
import { Target } from './target.ts';
import { endedTokenAttacks, tokenAttacks } from './token-attacks.ts';
import { webhookAttacks } from './webhook-attacks.ts';

const { values } = parseArgs({
  options: { requests: { type: 'string' }, seed: { type: 'string' }, only: { type: 'string' } },
});
const folder = makeFolder();
const notHeld: string[] = [];
let tried = 0;

async function attempt({ name, attempt }: Attack, target: Target): Promise<void> {
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
    const claims = target.claimsOf(atWork, long);
    for (const attack of [
      ...webhookAttacks,
      ...pageAttacks(first.session.id),
      ...tokenAttacks(claims),
      ...endedTokenAttacks(target.claimsOf(first.session, first.thread)),
      ...gatewayAttacks(claims),
    ]) {
      await attempt(attack, target);
    }
  } finally {
    await target.close();
  }
  return { attacks: tried, notHeld, seconds: Math.round((Date.now() - since) / 1_000) };
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
