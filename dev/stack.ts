/**
 * Everything a local run consists of: the Worker in workerd, a sandbox server as a process, and stand-ins for Linear,
 * the git host and (unless a credential is given) Claude's API. `npm start`, the e2e test and benchmarks all use it.
 */
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type ScriptedModel, startScriptedModel } from './claude/scripted-model.ts';
import { type GitHost, startGitHost } from './git/git-host.ts';
import { SAMPLE_REPOSITORY, sampleRepository } from './git/sample-repository.ts';
import { type GitHub, startGitHub } from './github/github.ts';
import { type LinearSimulator, type LinearSimulatorOptions, startLinearSimulator } from './linear/simulator.ts';
import { binary, type Child, plainEnvironment, run, startProcess, waitFor } from './processes.ts';
import { type ClaudeChoice, type LocalSecrets, localSecrets, type Ports, PROJECT } from './settings.ts';
import { type ContainerEngine, type LocalWorker, startWorker } from './worker.ts';

export interface StackOptions {
  /** Where everything is kept: databases, repositories, logs, the run's own secrets. */
  folder: string;
  ports: Ports;
  claude: ClaudeChoice;
  /** Milliseconds between pieces of a scripted answer; 0: at once. */
  pace?: number;
  /** Keep the simulator's issues across restarts. */
  keepsIssues?: boolean;
  /** Called before each part is started. */
  onProgress?: (what: string) => void;
  linear?: Partial<LinearSimulatorOptions>;
  /** Variables of the Worker that differ. */
  variables?: Record<string, string>;
  /** Given where the sandbox is to be a container instead of a process. */
  containers?: ContainerEngine;
  /** How many requests of strangers an address may make in a minute; left out: what wrangler.toml says. */
  publicLimit?: number;
  /** Where the Worker's inspector is to listen. */
  inspectorPort?: number;
  /** Checkouts of other versions, whose Worker or sandbox server is run; left out: this one's. */
  projects?: { worker?: string; sandbox?: string };
  /** Settings of the sandbox server that differ. */
  sandboxVariables?: Record<string, string>;
}

/** A running stack. */
export interface Stack {
  /** Where Cyrus is. */
  url: string;
  linear: LinearSimulator;
  git: GitHost;
  /** Speaks GitHub's API for the git host's repositories. */
  github: GitHub;
  /** Null if the real Claude answers. */
  model: ScriptedModel | null;
  secrets: LocalSecrets;
  readonly worker: LocalWorker;
  /** The sandbox's process. @throws if the sandbox is a container */
  readonly sandbox: Child;
  sandboxUrl: string;
  /** Where the sandbox keeps its sessions. */
  sandboxRoot: string;
  folder: string;
  /** Starts the sandbox again after it was ended or killed. */
  restartSandbox(): Promise<void>;
  /** Ends the Worker and starts that of another checkout on the same storage. @param project folder of it; left out: this one */
  replaceWorker(project?: string): Promise<void>;
  /** Ends every part. */
  close(): Promise<void>;
}

/** Starts everything and registers the sample repository. @throws if a part does not come up; what was started is ended */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { folder, ports, claude, onProgress = () => {} } = options;
  mkdirSync(folder, { recursive: true });
  // The user of a session has to get through to its own folder.
  chmodSync(folder, 0o711);
  const secrets = localSecrets(folder);
  const closers: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    onProgress('the web app');
    const built = run(
      binary('vite'),
      ['build', '--config', 'src/web/vite.config.ts', '--logLevel', 'warn'],
      plainEnvironment(),
    );
    onProgress('the git host');
    const password = secrets.gitPassword;
    const git = await startGitHost({
      root: join(folder, 'git'),
      port: ports.git,
      username: 'cyrus',
      password,
      admits: (token, fullName, writes) => github.admitsGit(token, fullName, writes),
      rules: (fullName) => github.branchRules(fullName),
    });
    closers.push(() => git.close());
    await git.ensureRepository(SAMPLE_REPOSITORY, await sampleRepository());
    onProgress('the stand-in for GitHub');
    const url = `http://localhost:${ports.cyrus}`;
    const github: GitHub = await startGitHub({
      port: ports.github,
      dataFile: join(folder, 'github.json'),
      locate: git.directory,
      cloneUrl: git.cloneUrl,
      branchUrl: git.branchUrl,
      webhookUrl: `${url}/webhooks/github`,
    });
    closers.push(() => github.close());
    github.install([SAMPLE_REPOSITORY]);
    const model = claude.kind === 'scripted' ? await startModel(ports.model, secrets, options.pace ?? 0) : null;
    if (model) closers.push(() => model.close());
    onProgress('the Linear simulator');
    const linear = await startLinearSimulator({
      port: ports.linear,
      webhookUrl: `${url}/webhooks/linear`,
      webhookSecret: secrets.webhookSecret,
      accessToken: secrets.linearAccessToken,
      application: {
        redirectUris: [`${url}/oauth/callback`],
        grantTypes: ['authorization_code', 'client_credentials'],
      },
      ...(options.keepsIssues && { dataFile: join(folder, 'linear.json') }),
      ...options.linear,
    });
    closers.push(() => linear.close());
    const sandboxRoot = join(folder, 'sandbox');
    const bringUpSandbox = () => startSandbox(folder, sandboxRoot, ports.sandbox, secrets.sandboxSecret, options);
    let sandbox: Child | null = null;
    if (!options.containers) {
      onProgress('the sandbox');
      sandbox = await bringUpSandbox();
    }
    closers.push(async () => sandbox?.end());
    onProgress('the Worker');
    await built;
    const bringUpWorker = (project: string | undefined) =>
      startWorker({
        folder,
        port: ports.cyrus,
        variables: {
          ...variablesFor(ports, secrets, claude, linear, github, model),
          ...(options.containers && { SANDBOX: 'container' }),
          ...options.variables,
        },
        ...(options.containers && { containers: options.containers }),
        ...(options.inspectorPort !== undefined && { inspectorPort: options.inspectorPort }),
        ...(project !== undefined && { project }),
        ...(options.publicLimit !== undefined && { publicLimit: options.publicLimit }),
      });
    let worker = await bringUpWorker(options.projects?.worker);
    closers.push(() => worker.child.end());
    await register(url, secrets, linear, git);
    return {
      url,
      linear,
      git,
      github,
      model,
      secrets,
      get worker() {
        return worker;
      },
      get sandbox() {
        if (!sandbox) throw new Error('the sandbox of this stack is a container, not a process');
        return sandbox;
      },
      sandboxUrl: `http://127.0.0.1:${ports.sandbox}`,
      sandboxRoot,
      folder,
      async restartSandbox() {
        await sandbox?.end('SIGKILL');
        sandbox = await bringUpSandbox();
      },
      async replaceWorker(project) {
        await worker.child.end();
        worker = await bringUpWorker(project);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function startModel(port: number, secrets: LocalSecrets, pace: number): Promise<ScriptedModel> {
  const expectedCredential = { header: 'authorization', value: secrets.scriptedModelToken } as const;
  return startScriptedModel({ port, expectedCredential, pace });
}

async function startSandbox(
  folder: string,
  root: string,
  port: number,
  secret: string,
  { projects, sandboxVariables }: Pick<StackOptions, 'projects' | 'sandboxVariables'>,
): Promise<Child> {
  const environment = {
    ...plainEnvironment(),
    // Sessions do not see this run's own files, its secrets among them.
    ENVIRONMENT: 'local',
    CYRUS_HIDDEN: folder,
    // Walls have a test of their own; `npm start` wants what the machine gives.
    CYRUS_WALLS: process.env.CYRUS_TEST_WALLS ?? 'none',
    ...sandboxVariables,
    PORT: String(port),
    HOST: '127.0.0.1',
    CYRUS_SANDBOX_ROOT: root,
    CYRUS_SANDBOX_SECRET: secret,
  };
  const logFile = join(folder, 'logs', 'sandbox.log');
  const child = startProcess(
    process.execPath,
    [join(projects?.sandbox ?? PROJECT, 'container', 'server.ts')],
    environment,
    logFile,
  );
  const isUp = async () => (await fetch(`http://127.0.0.1:${port}/health`)).ok;
  await waitFor(`the sandbox (log: ${logFile})`, isUp, 15_000);
  return child;
}

function variablesFor(
  ports: Ports,
  secrets: LocalSecrets,
  claude: ClaudeChoice,
  linear: LinearSimulator,
  github: GitHub,
  model: ScriptedModel | null,
): Record<string, string> {
  return {
    ENVIRONMENT: 'local',
    PUBLIC_URL: `http://localhost:${ports.cyrus}`,
    LINEAR_API_URL: linear.graphqlUrl,
    LINEAR_UPLOADS_URL: `${linear.url}/uploads`,
    LINEAR_MCP_URL: `${linear.url}/mcp`,
    LINEAR_WEBHOOK_SECRET: secrets.webhookSecret,
    LINEAR_CLIENT_ID: linear.oauthClientId,
    LINEAR_CLIENT_SECRET: linear.oauth.application().clientSecret,
    LINEAR_AUTHORIZE_URL: `${linear.url}/oauth/authorize`,
    LINEAR_TOKEN_URL: `${linear.url}/oauth/token`,
    LINEAR_REVOKE_URL: `${linear.url}/oauth/revoke`,
    GITHUB_API_URL: github.apiUrl,
    GITHUB_APP_ID: github.app.id,
    GITHUB_APP_PRIVATE_KEY: github.app.privateKey,
    GITHUB_WEBHOOK_SECRET: github.app.webhookSecret,
    ENCRYPTION_KEY: secrets.encryptionKey,
    ADMIN_TOKEN: secrets.adminToken,
    ACCESS_PASSWORD: secrets.accessPassword,
    SANDBOX: 'endpoint',
    SANDBOX_ENDPOINT_URL: `http://127.0.0.1:${ports.sandbox}`,
    SANDBOX_ENDPOINT_SECRET: secrets.sandboxSecret,
    ...(model
      ? {
          SCRIPTED_MODEL: 'true',
          ANTHROPIC_API_URL: model.url,
          CLAUDE_CREDENTIAL: 'subscription',
          CLAUDE_CODE_OAUTH_TOKEN: secrets.scriptedModelToken,
        }
      : claude.kind === 'real'
        ? { CLAUDE_CREDENTIAL: claude.mode, [claude.variable]: claude.secret }
        : {}),
  };
}

/** What an admin does on a real deployment, but without the detour by the page /install: the workspace with its token, and a repository. */
async function register(url: string, secrets: LocalSecrets, linear: LinearSimulator, git: GitHost): Promise<void> {
  const { id, name, urlKey } = linear.workspace;
  const accessToken = secrets.linearAccessToken;
  await put(`${url}/api/admin/workspaces/${id}`, secrets, { name, urlKey, appUserId: linear.appUserId, accessToken });
  await put(`${url}/api/admin/workspaces/${id}/repositories/${SAMPLE_REPOSITORY}`, secrets, {
    cloneUrl: git.cloneUrl(SAMPLE_REPOSITORY),
    baseBranch: 'main',
    credential: { kind: 'github-app' },
  });
}

async function put(url: string, secrets: LocalSecrets, body: object): Promise<void> {
  const response = await fetch(url, {
    method: 'PUT',
    headers: { authorization: `Bearer ${secrets.adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
}
