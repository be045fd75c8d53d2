/**
 * `npm run settings`: shows and changes the settings of a deployment that take effect without a deploy. CYRUS_URL and ADMIN_TOKEN say
 * which deployment, and prove who asks; without them the local run is meant.
 */
import * as z from 'zod';
import { SETTINGS } from '../src/protocol/settings/deployment.ts';
import { type Deployment, openDeployment } from './admin/deployment.ts';
import { UsageProblem } from './admin/usage.ts';
import { parseCommand, runCommand } from './command-line.ts';

const HELP = `npm run settings -- list                     every setting, its value, and its source
npm run settings -- set NAME VALUE           e.g. set PAUSED true
npm run settings -- unset NAME               the variable counts again

  --workspace ID   of one workspace: ${Object.entries(SETTINGS)
    .filter(([, reach]) => reach === 'workspace')
    .map(([name]) => name)
    .join(', ')}
  --url ADDRESS    of the deployment; else CYRUS_URL, else the local run
  --json           the API's own answer`;

const settingSchema = z.object({
  name: z.string(),
  value: z.string(),
  from: z.string(),
  updatedBy: z.string().nullable(),
  updatedAt: z.number().nullable(),
});
type Setting = z.infer<typeof settingSchema>;

async function main(): Promise<void> {
  const { values, positionals } = parse(process.argv.slice(2));
  const [verb, name, value, ...more] = positionals;
  if (values.help || verb === 'help') {
    console.log(HELP);
    return;
  }
  if (more.length > 0) throw new UsageProblem('There are too many words: quote a value that has spaces in it.');
  const scope = values.workspace === undefined ? '' : `?workspace=${encodeURIComponent(values.workspace)}`;
  const open = () => openDeployment(values.url, process.env);
  const shown = await carryOut({ verb, name, value, scope }, open);
  if (values.json) console.log(JSON.stringify(verb === 'list' ? { settings: shown } : shown[0], null, 2));
  else for (const setting of shown) console.log(describe(setting));
}

interface Asked {
  verb: string | undefined;
  name: string | undefined;
  value: string | undefined;
  scope: string;
}

async function carryOut({ verb, name, value, scope }: Asked, open: () => Promise<Deployment>): Promise<Setting[]> {
  if (verb === 'list' && name === undefined) {
    const answerSchema = z.object({ settings: z.array(settingSchema) });
    return (await (await open()).ask('GET', `/settings${scope}`, answerSchema)).settings;
  }
  if (verb === 'set' && name !== undefined && value !== undefined) {
    return [await (await open()).ask('PUT', `/settings/${name}${scope}`, settingSchema, { value })];
  }
  if (verb === 'unset' && name !== undefined && value === undefined) {
    return [await (await open()).ask('DELETE', `/settings/${name}${scope}`, settingSchema)];
  }
  throw new UsageProblem('Say list, set NAME VALUE or unset NAME; see --help.');
}

function describe({ name, value, from, updatedAt }: Setting): string {
  const since = updatedAt === null ? '' : `, since ${new Date(updatedAt).toISOString()}`;
  return `${name} = ${value === '' ? '""' : value}  (${from}${since})`;
}

function parse(args: string[]) {
  const options = {
    help: { type: 'boolean', short: 'h' },
    json: { type: 'boolean' },
    url: { type: 'string' },
    workspace: { type: 'string' },
  } as const;
  return parseCommand({ args, options, allowPositionals: true, strict: true });
}

runCommand(main);
