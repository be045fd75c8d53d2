/**
 * `npm run erase`: deletes a workspace with all that a deployment knows of it. CYRUS_URL and ADMIN_TOKEN say which deployment, and prove who
 * asks; without them the local run is meant.
 */
import * as z from 'zod';
import { openDeployment } from './admin/deployment.ts';
import { UsageProblem } from './admin/usage.ts';
import { parseCommand, runCommand } from './command-line.ts';

const HELP = `npm run erase -- WORKSPACE_ID --yes     deletes it: sessions, logs, settings, tokens. It cannot be taken back.

  --url ADDRESS    of the deployment; else CYRUS_URL, else the local run
Keep a copy before: npm run backup -- FILE --workspace WORKSPACE_ID`;

const stepSchema = z.object({ isDone: z.boolean(), sessions: z.number() });
/** A step ends containers and deletes their objects. */
const PATIENCE_MS = 120_000;

async function main(): Promise<void> {
  const options = { help: { type: 'boolean', short: 'h' }, url: { type: 'string' }, yes: { type: 'boolean' } } as const;
  const { values, positionals } = parseCommand({
    args: process.argv.slice(2),
    options,
    allowPositionals: true,
    strict: true,
  });
  const [workspace, ...more] = positionals;
  if (values.help) {
    console.log(HELP);
    return;
  }
  if (workspace === undefined || more.length > 0) throw new UsageProblem('Say which workspace, by its id; see --help.');
  if (!values.yes) throw new UsageProblem('It cannot be taken back: say --yes.');
  const deployment = await openDeployment(values.url, process.env);
  const path = `/workspaces/${encodeURIComponent(workspace)}/erase`;
  for (let deleted = 0; ; ) {
    const step = await deployment.ask('POST', path, stepSchema, { confirm: workspace }, PATIENCE_MS);
    if (step.isDone) break;
    deleted += step.sessions;
    console.log(`${deleted} sessions are deleted.`);
  }
  console.log('Nothing is left of the workspace.');
}

runCommand(main);
