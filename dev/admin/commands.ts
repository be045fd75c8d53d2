/** The commands of `npm run repositories`: what each asks of the deployment, and what it gives back. */
import { z } from 'zod';
import { mergePatch } from '../../src/lib/merge-patch.ts';
import { workspaceSettingsSchema } from '../../src/protocol/settings/access-rules.ts';
import { type Deployment, DeploymentProblem } from './deployment.ts';
import { carryOutMcp, type McpOutcome } from './mcp-commands.ts';
import { askHidden, readStdin } from './secrets.ts';
import { foreignToWorkspace, type Given, settingsFrom, settingsPatch } from './settings-options.ts';
import { UsageProblem } from './usage.ts';

const repositorySchema = z.looseObject({
  fullName: z.string(),
  cloneUrl: z.string(),
  baseBranch: z.string(),
  hasCredential: z.boolean(),
  settings: z.record(z.string(), z.unknown()),
});
export type ShownRepository = z.infer<typeof repositorySchema>;

const workspaceSchema = z.looseObject({
  id: z.string(),
  name: z.string(),
  urlKey: z.string(),
  status: z.string(),
});
export type ShownWorkspace = z.infer<typeof workspaceSchema>;

const wholeWorkspaceSchema = workspaceSchema.extend({
  settings: workspaceSettingsSchema,
  ignoredWebhooks: z.object({ since: z.number(), total: z.number(), kinds: z.record(z.string(), z.number()) }),
});

/** What a command gives back; `done` says in a line what was changed. */
export type Outcome =
  | { kind: 'repositories'; repositories: ShownRepository[]; workspace: ShownWorkspace }
  | { kind: 'repository'; repository: ShownRepository; done: string | null }
  | { kind: 'removed'; fullName: string }
  | McpOutcome
  | { kind: 'workspaces'; workspaces: ShownWorkspace[] }
  | { kind: 'workspace'; workspace: z.infer<typeof wholeWorkspaceSchema>; done: string | null };

/** @param words the command and its arguments @throws UsageProblem, DeploymentProblem */
export async function carryOut(words: string[], given: Given, deployment: Deployment): Promise<Outcome> {
  const [command, argument, ...more] = words;
  if (command === 'mcp') {
    const pathOf = async (fullName: string | undefined) =>
      repositoryPath(await chosenWorkspace(deployment, given), fullName);
    return carryOutMcp(words.slice(1), given, deployment, pathOf);
  }
  if (more.length > 0) throw new UsageProblem(`"${more.join(' ')}" is too much; see --help.`);
  switch (command) {
    case 'workspaces':
      none(argument);
      return { kind: 'workspaces', workspaces: await listWorkspaces(deployment) };
    case 'workspace':
      if (argument !== undefined && argument !== 'set') throw new UsageProblem('Say `workspace`, or `workspace set`.');
      return workspace(deployment, given, argument === 'set');
    case 'list': {
      none(argument);
      const found = await chosenWorkspace(deployment, given);
      return { kind: 'repositories', repositories: await listRepositories(deployment, found), workspace: found };
    }
    case 'show': {
      const path = repositoryPath(await chosenWorkspace(deployment, given), argument);
      return { kind: 'repository', repository: await deployment.ask('GET', path, repositorySchema), done: null };
    }
    case 'add':
      return add(deployment, given, await chosenWorkspace(deployment, given), argument);
    case 'set':
      return change(deployment, given, await chosenWorkspace(deployment, given), argument);
    case 'sandbox':
      return sandbox(deployment, given, await chosenWorkspace(deployment, given), argument);
    case 'remove': {
      await deployment.ask('DELETE', repositoryPath(await chosenWorkspace(deployment, given), argument), z.null());
      return { kind: 'removed', fullName: argument ?? '' };
    }
    case undefined:
      throw new UsageProblem('Say what to do; see --help.');
    default:
      throw new UsageProblem(`There is no command "${command}"; see --help.`);
  }
}

async function add(
  deployment: Deployment,
  given: Given,
  { id, name }: ShownWorkspace,
  fullName: string | undefined,
): Promise<Outcome> {
  const path = repositoryPath({ id }, fullName);
  const cloneUrl = given['clone-url'];
  if (typeof cloneUrl !== 'string') throw new UsageProblem('Say where the code is: --clone-url https://…');
  const settings = settingsFrom(settingsPatch(given));
  const isThere = await deployment.ask('GET', path, repositorySchema).catch((error: unknown) => {
    if (error instanceof DeploymentProblem && error.status === 404) return null;
    throw error;
  });
  if (isThere) throw new UsageProblem(`${fullName} is there already; change it by \`set\`.`);
  const credential = await credentialOf(given);
  const baseBranch = given['base-branch'];
  const body = {
    cloneUrl,
    ...(baseBranch !== undefined && { baseBranch }),
    ...(credential && { credential }),
    settings,
  };
  await deployment.ask('PUT', path, z.looseObject({}), body);
  const repository = await deployment.ask('GET', path, repositorySchema);
  return { kind: 'repository', repository, done: `${fullName} is added to ${name}.` };
}

async function change(
  deployment: Deployment,
  given: Given,
  { id, name }: ShownWorkspace,
  fullName: string | undefined,
): Promise<Outcome> {
  const path = repositoryPath({ id }, fullName);
  const { 'clone-url': cloneUrl, 'base-branch': baseBranch } = given;
  const settings = settingsPatch(given);
  const credential = await credentialOf(given);
  const body = {
    ...(cloneUrl !== undefined && { cloneUrl }),
    ...(baseBranch !== undefined && { baseBranch }),
    ...(credential !== undefined && { credential }),
    ...(Object.keys(settings).length > 0 && { settings }),
  };
  if (Object.keys(body).length === 0) throw new UsageProblem('Say what to change; see --help.');
  const repository = await deployment.ask('PATCH', path, repositorySchema, body);
  return { kind: 'repository', repository, done: `${fullName} in ${name} is changed.` };
}

async function sandbox(
  deployment: Deployment,
  given: Given,
  { id }: ShownWorkspace,
  fullName: string | undefined,
): Promise<Outcome> {
  const path = repositoryPath({ id }, fullName);
  const { endpoint, container } = given;
  if ((typeof endpoint === 'string') === (container === true)) {
    throw new UsageProblem('Say where its sandboxes run: --endpoint URL, or --container.');
  }
  if (typeof endpoint === 'string') {
    // The secret first: a sandbox is never looked for at an address whose secret is not there.
    const secret = await secretOf(given, 'CYRUS_SANDBOX_SECRET');
    const secretPath = path.replace('/repositories/', '/sandbox-secrets/');
    await deployment.ask('PUT', secretPath, z.looseObject({}), { url: endpoint, secret });
  }
  const choice = typeof endpoint === 'string' ? { kind: 'endpoint', url: endpoint } : { kind: 'container' };
  const repository = await deployment.ask('PATCH', path, repositorySchema, { settings: { sandbox: choice } });
  return { kind: 'repository', repository, done: `Sandboxes of ${fullName} run there from the next start on.` };
}

async function workspace(deployment: Deployment, given: Given, isChange: boolean): Promise<Outcome> {
  const { id } = await chosenWorkspace(deployment, given);
  const path = `/workspaces/${encodeURIComponent(id)}`;
  if (!isChange) {
    return { kind: 'workspace', workspace: await deployment.ask('GET', path, wholeWorkspaceSchema), done: null };
  }
  const foreign = foreignToWorkspace(given);
  if (foreign.length > 0) throw new UsageProblem(`--${foreign[0]} is for a repository, not for a workspace.`);
  const patch = settingsPatch(given);
  if (Object.keys(patch).length === 0) throw new UsageProblem('Say what to change; see --help.');
  const before = await deployment.ask('GET', `${path}/settings`, workspaceSettingsSchema);
  await deployment.ask('PUT', `${path}/settings`, workspaceSettingsSchema, mergePatch(before, patch));
  const changed = await deployment.ask('GET', path, wholeWorkspaceSchema);
  return { kind: 'workspace', workspace: changed, done: `${changed.name} is changed.` };
}

async function listWorkspaces(deployment: Deployment): Promise<ShownWorkspace[]> {
  const answer = z.object({ workspaces: z.array(workspaceSchema) });
  return (await deployment.ask('GET', '/workspaces', answer)).workspaces;
}

async function listRepositories(deployment: Deployment, { id }: ShownWorkspace): Promise<ShownRepository[]> {
  const answer = z.object({ repositories: z.array(repositorySchema) });
  return (await deployment.ask('GET', `/workspaces/${encodeURIComponent(id)}/repositories`, answer)).repositories;
}

/** The workspace that is meant: named by id, URL key or name, or the only one. */
async function chosenWorkspace(deployment: Deployment, { workspace: wanted }: Given): Promise<ShownWorkspace> {
  const known = await listWorkspaces(deployment);
  const names = known.map(({ urlKey }) => urlKey).join(', ');
  if (known.length === 0)
    throw new UsageProblem(`No workspace has installed Cyrus yet: see ${deployment.url}/install.`);
  const fitting =
    typeof wanted === 'string'
      ? known.filter(({ id, urlKey, name }) =>
          [id, urlKey, name].some((one) => one.toLowerCase() === wanted.toLowerCase()),
        )
      : known;
  const [only] = fitting;
  if (only && fitting.length === 1) return only;
  if (typeof wanted !== 'string')
    throw new UsageProblem(`There are several workspaces: choose by --workspace, of ${names}.`);
  throw new UsageProblem(
    only
      ? `Several workspaces are called ${wanted}: choose by id.`
      : `There is no workspace ${wanted}; known are ${names}.`,
  );
}

function repositoryPath({ id }: { id: string }, fullName: string | undefined): string {
  if (fullName === undefined) throw new UsageProblem('Say which repository: OWNER/NAME.');
  if (!/^[\w.-]+(\/[\w.-]+)+$/.test(fullName)) throw new UsageProblem(`"${fullName}" is no OWNER/NAME.`);
  return `/workspaces/${encodeURIComponent(id)}/repositories/${fullName}`;
}

/** @returns undefined if nothing was said of it; null for none */
async function credentialOf(given: Given): Promise<object | null | undefined> {
  const { credential: kind, username } = given;
  const isBasic =
    kind === 'basic' || (kind === undefined && (username !== undefined || given['secret-stdin'] === true));
  if (username !== undefined && !isBasic) throw new UsageProblem('--username goes with --credential basic.');
  if (isBasic) return { username: username ?? 'x-access-token', password: await secretOf(given) };
  switch (kind) {
    case undefined:
      return undefined;
    case 'none':
      return null;
    case 'github-app':
      return { kind };
    case 'github-token':
      return { kind, token: await secretOf(given) };
    default:
      throw new UsageProblem(`--credential is basic, github-token, github-app or none, not "${String(kind)}".`);
  }
}

/** @param variable of the environment that may hold it */
async function secretOf(given: Given, variable = 'CYRUS_GIT_SECRET'): Promise<string> {
  const secret = given['secret-stdin']
    ? await readStdin()
    : process.env[variable] || (await askHidden(`${variable}: `));
  if (secret) return secret;
  throw new UsageProblem(
    given['secret-stdin']
      ? 'There is no secret on standard input.'
      : `There is no secret: set ${variable}, or give it on standard input with --secret-stdin.`,
  );
}

function none(argument: string | undefined): void {
  if (argument !== undefined) throw new UsageProblem(`"${argument}" is too much; see --help.`);
}
