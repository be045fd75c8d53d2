/** `npm run repositories`: which repositories a deployment works in and who may give it work, until there is a page for that. */
import { carryOut, type Outcome } from './admin/commands.ts';
import { openDeployment } from './admin/deployment.ts';
import { MCP_OPTIONS } from './admin/mcp-commands.ts';
import { describeOutcome } from './admin/print.ts';
import { SETTINGS_OPTIONS } from './admin/settings-options.ts';
import { HELP, UsageProblem } from './admin/usage.ts';
import { parseCommand, runCommand } from './command-line.ts';

const OPTIONS = {
  ...SETTINGS_OPTIONS,
  ...MCP_OPTIONS,
  help: { type: 'boolean', short: 'h' },
  json: { type: 'boolean' },
  url: { type: 'string' },
  workspace: { type: 'string' },
  'clone-url': { type: 'string' },
  'base-branch': { type: 'string' },
  credential: { type: 'string' },
  username: { type: 'string' },
  'secret-stdin': { type: 'boolean' },
  endpoint: { type: 'string' },
  container: { type: 'boolean' },
} as const;

/** Options that people may try for a secret; others can read the options of a process. */
const SECRET_OPTION = /^--?(admin-)?(token|password|secret|api-key)(=|$)/;

async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  if (argv.some((word) => SECRET_OPTION.test(word))) {
    throw new UsageProblem(
      'A secret is no option, because others can read it there: set ADMIN_TOKEN; for a credential CYRUS_GIT_SECRET, or --secret-stdin.',
    );
  }
  const { values, positionals } = parse(argv);
  if (values.help === true || positionals[0] === 'help') {
    console.log(HELP);
    return;
  }
  if (positionals.length === 0) throw new UsageProblem('Say what to do; see --help.');
  const url = typeof values.url === 'string' ? values.url : undefined;
  const outcome = await carryOut(positionals, values, await openDeployment(url, process.env));
  console.log(values.json === true ? JSON.stringify(dataOf(outcome), null, 2) : describeOutcome(outcome));
}

function parse(args: string[]) {
  return parseCommand({ args, options: OPTIONS, allowPositionals: true, strict: true });
}

/** What programs are given: the API's own answer. */
function dataOf(outcome: Outcome): unknown {
  switch (outcome.kind) {
    case 'repositories':
      return { repositories: outcome.repositories };
    case 'repository':
      return outcome.repository;
    case 'removed':
      return { removed: outcome.fullName };
    case 'mcp-servers':
      return { servers: outcome.servers };
    case 'mcp-server':
      return outcome.server;
    case 'mcp-removed':
      return { removed: outcome.name };
    case 'workspaces':
      return { workspaces: outcome.workspaces };
    case 'workspace':
      return outcome.workspace;
  }
}

runCommand(main);
