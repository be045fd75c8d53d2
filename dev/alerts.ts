/**
 * `npm run alerts`: what somebody should know of a deployment, and a test of the ways by which people are told. CYRUS_URL and ADMIN_TOKEN
 * say which deployment, and prove who asks; without them the local run is meant.
 */
import * as z from 'zod';
import { openDeployment } from './admin/deployment.ts';
import { UsageProblem } from './admin/usage.ts';
import { parseCommand, runCommand } from './command-line.ts';

const HELP = `npm run alerts -- list       what is open, what waits to be told, when the deployment was last looked at
npm run alerts -- test       sends a test to every channel

  --url ADDRESS    of the deployment; else CYRUS_URL, else the local run
  --json           the API's own answer`;

const time = (at: number) => new Date(at).toISOString();
const alertsSchema = z.object({
  channels: z.array(z.string()),
  open: z.array(
    z.looseObject({ severity: z.string(), words: z.string(), remedy: z.string().nullable(), firstAt: z.number() }),
  ),
  waiting: z.array(
    z.looseObject({ channel: z.string(), words: z.string(), tries: z.number(), problem: z.string().nullable() }),
  ),
  watchedAt: z.number().nullable(),
});
const testSchema = z.object({ channels: z.array(z.string()) });

async function main(): Promise<void> {
  const { values, positionals } = parse(process.argv.slice(2));
  const [verb, ...more] = positionals;
  if (values.help || verb === 'help') {
    console.log(HELP);
    return;
  }
  if (more.length > 0 || (verb !== 'list' && verb !== 'test')) throw new UsageProblem('Say list or test; see --help.');
  const deployment = await openDeployment(values.url, process.env);
  if (verb === 'test') {
    const { channels } = await deployment.ask('POST', '/alerts/test', testSchema);
    console.log(values.json ? JSON.stringify({ channels }) : `A test is on its way to ${channels.join(', ')}.`);
    return;
  }
  const alerts = await deployment.ask('GET', '/alerts', alertsSchema);
  if (values.json) console.log(JSON.stringify(alerts, null, 2));
  else for (const line of linesOf(alerts)) console.log(line);
}

function linesOf({ channels, open, waiting, watchedAt }: z.infer<typeof alertsSchema>): string[] {
  return [
    channels.length === 0
      ? 'Nobody is told of alerts: no channel is configured.'
      : `People are told by ${channels.join(', ')}.`,
    watchedAt === null
      ? 'Nothing has looked at this deployment yet; that is done every five minutes.'
      : `The deployment was looked at around ${time(watchedAt)} (noted once an hour, if webhooks come).`,
    ...(open.length === 0 ? ['Nothing is open.'] : []),
    ...open.map(({ severity, words, remedy, firstAt }) => {
      return `${severity} since ${time(firstAt)}: ${words}.${remedy === null ? '' : `\n  ${remedy}`}`;
    }),
    ...waiting.map(({ channel, words, tries, problem }) => {
      return `waits for ${channel} (${tries} tries${problem === null ? '' : `, ${problem}`}): ${words}`;
    }),
  ];
}

function parse(args: string[]) {
  const options = {
    help: { type: 'boolean', short: 'h' },
    json: { type: 'boolean' },
    url: { type: 'string' },
  } as const;
  return parseCommand({ args, options, allowPositionals: true, strict: true });
}

runCommand(main);
