/**
 * `npm run setup`: takes an empty Cloudflare account to a running Cyrus. Each step says that it is done, or does it, so that the command
 * may be repeated, and goes on where it broke off. `--dry-run` says what each step would do, and changes nothing.
 */
import { parseCommand, runCommand } from './command-line.ts';
import { readAnswers } from './operate/answers.ts';
import { machineSetup } from './operate/setup-machine.ts';
import { setUp } from './operate/setup-steps.ts';

const HELP = `npm run setup                    from an empty account to a running Cyrus

  --name NAME            of the Worker; its database and bucket are named after it. Usually cyrus
  --region REGION        where the database and the bucket are: weur, eeur, enam, wnam, apac or oc
  --jurisdiction WHERE   eu or us: they never leave it; none if nothing is said
  --plan PLAN            how Claude is paid for: pro, max, ultra (a subscription), or api (a key)
  --yes                  ask nothing: what is not given takes its usual value
  --dry-run              say what would be done, and change nothing`;

async function main(): Promise<void> {
  const given = parse(process.argv.slice(2));
  if (given.help) {
    console.log(HELP);
    return;
  }
  const answers = await readAnswers(given);
  const problem = await setUp(machineSetup(), answers, given['dry-run'] === true);
  if (problem === null) return;
  console.error(`cyrus: ${problem}`);
  process.exitCode = 1;
}

function parse(args: string[]) {
  const options = {
    help: { type: 'boolean', short: 'h' },
    name: { type: 'string' },
    region: { type: 'string' },
    jurisdiction: { type: 'string' },
    plan: { type: 'string' },
    yes: { type: 'boolean' },
    'dry-run': { type: 'boolean' },
  } as const;
  return parseCommand({ args, options, allowPositionals: false, strict: true }).values;
}

runCommand(main);
