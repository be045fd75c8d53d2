/**
 * `npm run import FILE`: takes the repositories of a cyrusagents configuration over, and says what does not map. Nothing is changed without
 * `--apply`, and what is there already stays as it is. See docs/migration.md.
 */
import { existsSync, readFileSync } from 'node:fs';
import * as z from 'zod';
import { parseJson } from '../src/lib/parse-json.ts';
import { repositorySettingsSchema } from '../src/protocol/settings/repository.ts';
import { type Deployment, openDeployment } from './admin/deployment.ts';
import { UsageProblem } from './admin/usage.ts';
import { parseCommand, runCommand } from './command-line.ts';
import { type ImportPlan, type Planned, planImport, theirConfigSchema } from './operate/cyrusagents.ts';

const HELP = `npm run import -- FILE           says what of a cyrusagents configuration (~/.cyrus/config.json) maps, and what does not

  --apply          adds the repositories; those that are there stay as they are
  --workspace ID   Linear's organization id, for repositories of which the file says none
  --label NAME     only issues with this label go to them, for the time in which both agents run
  --url ADDRESS    of the deployment; else CYRUS_URL, else the local run
  --json           the plan as JSON

CYRUS_GIT_SECRET is stored as the git credential of each repository that is added; without it they are added without one.`;

async function main(): Promise<void> {
  const { values, positionals } = parseCommand({
    args: process.argv.slice(2),
    options: {
      help: { type: 'boolean', short: 'h' },
      apply: { type: 'boolean' },
      workspace: { type: 'string' },
      label: { type: 'string' },
      url: { type: 'string' },
      json: { type: 'boolean' },
    },
    allowPositionals: true,
    strict: true,
  });
  if (values.help) {
    console.log(HELP);
    return;
  }
  const [file, ...more] = positionals;
  if (file === undefined || more.length > 0) throw new UsageProblem('Say which file; see --help.');
  const plan = withChoices(planImport(readTheirs(file)), values);
  if (values.json) console.log(JSON.stringify(plan, null, 2));
  else for (const line of linesOf(plan)) console.log(harmless(line));
  if (!values.apply) {
    if (!values.json) console.log('\nNothing was changed. --apply adds the repositories.');
    return;
  }
  const homeless = plan.repositories.filter(({ workspaceId }) => workspaceId === null);
  if (homeless.length > 0)
    throw new UsageProblem(
      `The file does not say the workspace of ${homeless.map(({ fullName }) => fullName).join(', ')}: say --workspace.`,
    );
  const deployment = await openDeployment(values.url, process.env);
  for (const one of plan.repositories) console.error(await add(deployment, one));
}

/** @throws UsageProblem that names what is wrong with the file */
function readTheirs(file: string) {
  if (!existsSync(file)) throw new UsageProblem(`There is no file ${file}.`);
  const config = theirConfigSchema.safeParse(parseJson(readFileSync(file, 'utf8')));
  if (config.success) return config.data;
  throw new UsageProblem(
    `${file} is no configuration of cyrusagents: ${z.prettifyError(config.error).replace(/\s+/g, ' ')}`,
  );
}

/** With a label, no other rule sends issues to the repositories: the other agent keeps the rest. */
function withChoices(
  { repositories, notes }: ImportPlan,
  { workspace, label }: { workspace?: string; label?: string },
): ImportPlan {
  return {
    notes,
    repositories: repositories.map((one) => ({
      ...one,
      workspaceId: one.workspaceId ?? workspace ?? null,
      settings: label === undefined ? one.settings : { ...one.settings, labels: [label], teams: [], projects: [] },
    })),
  };
}

/** Text of the file on a terminal. */
function harmless(line: string): string {
  return line.replace(/[\p{Cc}\p{Cf}]/gu, '?');
}

function linesOf({ repositories, notes }: ImportPlan): string[] {
  const settingsOf = ({ settings }: Planned) =>
    Object.entries(settings).map(([name, value]) => `    ${name}: ${JSON.stringify(value)}`);
  return [
    ...repositories.flatMap((one) => [
      `${one.fullName} (${one.cloneUrl}, ${one.baseBranch}), workspace ${one.workspaceId ?? 'not said'}`,
      ...settingsOf(one),
    ]),
    ...(repositories.length === 0 ? ['No repository can be taken over.'] : []),
    ...(notes.length > 0 ? ['', 'What does not map:', ...notes.map((note) => `- ${note}`)] : []),
  ];
}

const knownSchema = z.object({ repositories: z.array(z.looseObject({ fullName: z.string() })) });

/** @returns what was done, for people @throws DeploymentProblem */
async function add(deployment: Deployment, { workspaceId, fullName, settings, ...rest }: Planned): Promise<string> {
  const path = `/workspaces/${encodeURIComponent(workspaceId ?? '')}/repositories`;
  const { repositories } = await deployment.ask('GET', path, knownSchema);
  if (repositories.some((one) => one.fullName.toLowerCase() === fullName.toLowerCase()))
    return `${fullName} is there already and stays as it is.`;
  const secret = process.env.CYRUS_GIT_SECRET;
  await deployment.ask('PUT', `${path}/${fullName}`, z.unknown(), {
    ...rest,
    ...(secret && { credential: { username: 'x-access-token', password: secret } }),
    settings: repositorySettingsSchema.parse(settings),
  });
  return `${fullName} is added${secret ? '' : ', without a credential: npm run repositories -- set'}.`;
}

runCommand(main);
