/**
 * A stand-in for the program wrangler: the account is kept in the file CYRUS_ACCOUNT, and a command that begins with CYRUS_BREAKS_AT
 * fails before it does anything. CYRUS_PROGRAMS names the folder with a script that runs this.
 */
import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT } from '../settings.ts';
import { accountSchema, emptyAccount, wrangler } from './account.ts';

const {
  CYRUS_ACCOUNT: file,
  CYRUS_BREAKS_AT: breaksAt,
  CYRUS_ADDRESS: address = 'https://cyrus.acme.workers.dev',
} = process.env;
if (!file) throw new Error('CYRUS_ACCOUNT names the file in which the account is kept');
const args = process.argv.slice(2);
if (breaksAt && args.join(' ').startsWith(breaksAt)) {
  console.error('✘ [ERROR] A request to the Cloudflare API failed.');
  process.exit(1);
}
const account = existsSync(file)
  ? accountSchema.parse(JSON.parse(readFileSync(file, 'utf8')))
  : structuredClone(emptyAccount);
const { WRANGLER_OUTPUT_FILE_PATH: output } = process.env;
const answer = wrangler(account, args, {
  address,
  migrations: readdirSync(join(PROJECT, 'migrations')).filter((name) => name.endsWith('.sql')).length,
  record: (line) => output && appendFileSync(output, `${line}\n`),
});
writeFileSync(file, JSON.stringify(account, null, 2));
process.stdout.write(answer.out);
process.stderr.write(answer.err);
process.exitCode = answer.code;
