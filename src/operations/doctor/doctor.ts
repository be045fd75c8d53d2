/** Looks at everything that a deployment needs, each thing by itself, so that one that hangs or fails hides no other. */
import { type Config, ConfigError } from '../../config/config.ts';
import { readConfig } from '../../config/read-config.ts';
import { asError, messageOf } from '../../lib/error.ts';
import { settledWithin } from '../../lib/timeout.ts';
import { log } from '../../observability/log.ts';
import { bad, type Finding, isStored, skipped, type WorkerReport, warn } from '../../protocol/doctor.ts';
import { type Database, openDatabase } from '../../store/database.ts';
import { findSandboxSecret } from '../../store/sandbox-secrets.ts';
import { settledConfig } from '../../store/settings.ts';
import { listRepositories, type RepositorySummary } from '../../store/workspaces/repositories.ts';
import { listWorkspaces } from '../../store/workspaces/workspaces.ts';
import { alertFindings } from './alerting.ts';
import {
  bindingFinding,
  bucketFinding,
  clockFinding,
  configurationFindings,
  databaseFinding,
  databaseSizeFinding,
  pauseFinding,
} from './basics.ts';
import { claudeFindings } from './claude.ts';
import { repositoryFinding } from './git.ts';
import { applicationFinding, webhookFindings, workspaceFinding } from './linear.ts';
import { endpointFinding, sandboxFinding } from './sandbox.ts';

/** Nothing is waited for longer; a container may take most of it. */
const CHECK_LIMIT_MS = 20_000;
const SANDBOX_LIMIT_MS = 60_000;
/** Of a large deployment so many are looked at; the others are said to be left out. */
const MOST_WORKSPACES = 20;
const MOST_REPOSITORIES = 30;

/** What is looked at. */
export interface Examination {
  /** Address under which people reach this deployment. */
  origin: string;
  /** The callback's address, as Linear has it. */
  redirectUri: (config: Config) => string;
  /** A container is started, which takes up to a minute and costs a little. */
  startsContainer: boolean;
}

type Look = () => Promise<Finding | Finding[]>;

/** Looks at the deployment. Never rejects: what cannot be looked at is a finding too. */
export async function examine(env: Env, about: Examination): Promise<WorkerReport> {
  const basics = await Promise.all([
    look('configuration', async () => configurationFindings(env)),
    look('bindings', async () => bindingFinding(env)),
    look('database', () => databaseFinding(env)),
    look('database size', () => databaseSizeFinding(env)),
    look('bucket', () => bucketFinding(env)),
  ]);
  return {
    at: Date.now(),
    version: versionOf(env),
    variables: variablesOf(env),
    findings: [...basics.flat(), ...(await rest(env, about))],
  };
}

/** What needs a configuration that can be read. */
async function rest(env: Env, { origin, redirectUri, startsContainer }: Examination): Promise<Finding[]> {
  let config: Config;
  try {
    readConfig(env);
    config = await settledConfig(env, null);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return [skipped('the rest', 'Linear, Claude, git and the sandbox are looked at once the configuration is right')];
  }
  const database = openDatabase(env.DB, config.encryptionKey, config.oldEncryptionKey);
  const found = await Promise.all([
    look('pause', async () => pauseFinding(config)),
    look('clock', () => clockFinding(config)),
    look('linear application', () => applicationFinding(config, redirectUri(config))),
    look('webhooks', () => webhookFindings(env, origin)),
    look('workspaces and repositories', () => workspaceFindings(env, config, database)),
    look('alerts', () => alertFindings(env, config)),
    look('claude', () => claudeFindings(config)),
    look('sandbox', () => sandboxFinding(env, config, startsContainer), SANDBOX_LIMIT_MS),
  ]);
  return found.flat();
}

async function workspaceFindings(env: Env, config: Config, database: Database): Promise<Finding[]> {
  const workspaces = await listWorkspaces(database);
  if (workspaces.length === 0) {
    return [warn('linear workspaces', 'Cyrus is installed in no workspace', 'Open /install and add it to one.')];
  }
  const looked = workspaces.slice(0, MOST_WORKSPACES);
  const active = looked.filter(({ status }) => status !== 'revoked');
  const repositories = (await Promise.all(active.map(({ id }) => listRepositories(database, id)))).flat();
  const found = await Promise.all([
    ...looked.map((workspace) => look(`linear workspace ${workspace.urlKey}`, () => workspaceFinding(env, workspace))),
    ...repositories
      .slice(0, MOST_REPOSITORIES)
      .flatMap((repository) => [
        look(`git ${repository.fullName}`, () => repositoryFinding(config, database, repository)),
        look(`sandbox server of ${repository.fullName}`, () => serverFindings(database, repository)),
      ]),
  ]);
  const empty = active.filter(({ id }) => !repositories.some(({ workspaceId }) => workspaceId === id));
  const withoutCode = empty.map(({ name, urlKey }) =>
    warn(
      `repositories ${urlKey}`,
      `${name} has no repository, so Cyrus cannot work there`,
      'Add one: npm run repositories -- add OWNER/NAME --clone-url URL --credential KIND',
    ),
  );
  const left = workspaces.length - looked.length + Math.max(0, repositories.length - MOST_REPOSITORIES);
  const rest = left > 0 ? [skipped('more', `${left} more workspaces and repositories were left out`)] : [];
  return [...found.flat(), ...withoutCode, ...rest];
}

/** The sandbox server that a repository names itself; most name none. */
async function serverFindings(database: Database, repository: RepositorySummary): Promise<Finding[]> {
  const { workspaceId, fullName, settings } = repository;
  if (settings.sandbox?.kind !== 'endpoint') return [];
  const { url } = settings.sandbox;
  const name = `sandbox server of ${fullName}`;
  const secret = await findSandboxSecret(database, { workspaceId, fullName, url });
  if (secret !== null) return [await endpointFinding(name, url, secret)];
  const remedy = `Store it: npm run repositories -- sandbox ${fullName} --endpoint ${url}`;
  return [bad(name, `No secret is stored for the sandbox server ${new URL(url).host}`, remedy)];
}

/** One check, with its limit. What it throws is a finding, and in the log. */
async function look(name: string, check: Look, limitMs = CHECK_LIMIT_MS): Promise<Finding[]> {
  try {
    const found = await settledWithin(limitMs, check());
    if (found === 'late') return [bad(name, `There was no answer within ${limitMs / 1_000} s`, STATUS)];
    return Array.isArray(found) ? found : [found];
  } catch (error) {
    log('operations.doctor_check.failed', { check: name, error: asError(error) });
    return [bad(name, `It does not answer: ${messageOf(error).slice(0, 300)}`, STATUS)];
  }
}

const STATUS = 'Run the doctor again; if it stays, look at the log of the Worker and at cloudflarestatus.com.';

/** Variables as wrangler.toml names them. What is stored is left out, and what somebody else's binding looks like a secret by its name. */
function variablesOf(env: Env): Record<string, string> {
  const isPlain = (name: string) =>
    PLAIN_ADDRESSES.includes(name) || (!isStored(name) && !/SECRET|KEY|TOKEN|PASSWORD/.test(name));
  const kept = Object.entries(env).filter(
    ([name, value]: [string, unknown]) => typeof value === 'string' && /^[A-Z][A-Z0-9_]+$/.test(name) && isPlain(name),
  );
  return Object.fromEntries(kept.map(([name, value]) => [name, String(value)]));
}

/** Named like a secret, and none. */
const PLAIN_ADDRESSES = ['LINEAR_TOKEN_URL'];

function versionOf(env: Env): WorkerReport['version'] {
  const { id, tag } = env.VERSION ?? {};
  return typeof id === 'string' && id !== '' ? { id, tag: tag ?? '' } : null;
}
