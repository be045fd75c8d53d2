/**
 * The sandbox server on its stage: real git host, real Claude CLI against the scripted model, a stand-in for the
 * gateway between them, everything on free ports and in a directory of its own.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmod, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readSandboxConfig, type SandboxConfig } from '../../container/config.ts';
import { logTo } from '../../container/log.ts';
import { killSessionProcesses, sessionProcesses } from '../../container/process/process-group.ts';
import { type SandboxServer, startSandboxServer } from '../../container/server.ts';
import { bash } from '../../dev/claude/script.ts';
import { type ScriptedModel, startScriptedModel } from '../../dev/claude/scripted-model.ts';
import { scripts } from '../../dev/claude/scripts.ts';
import { type GitHost, startGitHost } from '../../dev/git/git-host.ts';
import { SAMPLE_REPOSITORY, sampleRepository } from '../../dev/git/sample-repository.ts';
import type { CheckpointManifest } from '../../src/protocol/checkpoint.ts';
import type { SandboxCommand } from '../../src/protocol/sandbox/commands.ts';
import type { SandboxEvent } from '../../src/protocol/sandbox/events.ts';
import { type SandboxStatus, type StartSession, sandboxStatusSchema } from '../../src/protocol/sandbox/start.ts';
import { type GatewayStandIn, startGatewayStandIn } from './gateway-stand-in.ts';
import { testClock } from './test-clock.ts';

/** Nothing of these may ever be found in the sandbox. */
export const REAL_MODEL_CREDENTIAL = 'real-oauth-token-that-must-not-leak';
export const REAL_GIT_PASSWORD = 'real-git-password-that-must-not-leak';
export const SERVER_SECRET = 'secret-of-the-sandbox-server-0123';

/** `[script: run]` followed by a fenced block: runs each line of it as a command of its own. */
scripts.run = function* (task) {
  const commands = /```\n([\s\S]*?)\n```/.exec(task.prompt)?.[1]?.split('\n') ?? [];
  const outputs: string[] = [];
  for (const command of commands) outputs.push((yield* bash(command, 'A command of the test')).text);
  return { text: outputs.join('\n') };
};

/** A prompt that makes the scripted model run these commands, one tool call each. */
export function run(...commands: string[]): string {
  return `[script: run]\n\`\`\`\n${commands.join('\n')}\n\`\`\``;
}

type EventOf<T extends SandboxEvent['type']> = Extract<SandboxEvent, { type: T }>;

export interface Stage {
  root: string;
  /** Of the server. */
  config: SandboxConfig;
  gateway: GatewayStandIn;
  host: GitHost;
  model: ScriptedModel;
  /** Address of the running server. */
  url: string;
  sessionDir(id: string): string;
  worktree(id: string): string;
  /** A start body; parts may be replaced. */
  startBody(overrides?: DeepPartial<StartSession>): StartSession;
  put(id: string, body: unknown): Promise<Response>;
  start(id: string, overrides?: DeepPartial<StartSession>): Promise<SandboxStatus>;
  status(id: string): Promise<SandboxStatus>;
  command(id: string, command: SandboxCommand): Promise<Response>;
  /** Sends a prompt. @returns its id */
  prompt(id: string, text: string, turn?: number): Promise<string>;
  stop(id: string, turn?: number): Promise<string>;
  /** Waits until an event of this type (that fits) is stored at the gateway. */
  event<T extends SandboxEvent['type']>(
    type: T,
    fits?: (event: EventOf<T>) => boolean,
    timeoutMs?: number,
  ): Promise<EventOf<T>>;
  eventsOf<T extends SandboxEvent['type']>(type: T): EventOf<T>[];
  /** Parsed lines of the CLI, of one type. */
  lines(type: string): Record<string, unknown>[];
  /** Waits for the nth result line of the CLI. */
  result(nth?: number): Promise<Record<string, unknown>>;
  /** Ends the server gracefully and starts it again on the same disk. */
  restart(): Promise<void>;
  /** Kills what runs of a session and empties the server's disk, as when a container is gone; another server starts. */
  vanish(id: string): Promise<void>;
  /** The server ends without a word, as by SIGKILL: another one starts on the disk as it was at that moment. */
  die(): Promise<void>;
  close(): Promise<void>;
}

export type DeepPartial<T> = { [K in keyof T]?: T[K] extends object ? DeepPartial<T[K]> : T[K] };

export interface StageOptions {
  config?: Partial<SandboxConfig>;
  credential?: 'subscription' | 'api-key';
}

// The log of servers inside of the test's process would bury the report.
if (!process.env.CYRUS_TEST_LOG) logTo(() => {});

/** Sets the stage; close it afterwards. */
export async function setStage(options: StageOptions = {}): Promise<Stage> {
  const root = await mkdtemp(join(tmpdir(), 'cyrus-sandbox-'));
  // Every session's user has to get through.
  await chmod(root, 0o711);
  const username = 'cyrus';
  const host = await startGitHost({ root: join(root, 'host'), username, password: REAL_GIT_PASSWORD });
  await host.ensureRepository(SAMPLE_REPOSITORY, await sampleRepository());
  const apiKey = options.credential === 'api-key';
  const header = apiKey ? 'x-api-key' : 'authorization';
  const value = apiKey ? REAL_MODEL_CREDENTIAL : `Bearer ${REAL_MODEL_CREDENTIAL}`;
  const model = await startScriptedModel({ expectedCredential: { header, value } });
  const gateway = await startGatewayStandIn(`session-token-${randomUUID()}`, {
    model: { url: model.url, header, value },
    git: { url: host.url, username, password: REAL_GIT_PASSWORD },
  });
  const config: SandboxConfig = {
    ...readSandboxConfig({
      CYRUS_SANDBOX_ROOT: join(root, 'sandbox'),
      PORT: '0',
      CYRUS_SANDBOX_SECRET: SERVER_SECRET,
      // Walls have tests of their own; the others run as their user.
      CYRUS_WALLS: process.env.CYRUS_TEST_WALLS ?? 'none',
    }),
    ...options.config,
  };
  let server: SandboxServer = await startSandboxServer(config);
  const conversationId = randomUUID();
  const stage: Stage = {
    root: config.root,
    config,
    gateway,
    host,
    model,
    url: server.url,
    ...client(() => stage, gateway, conversationId, options.credential ?? 'subscription'),
    restart: async () => {
      await server.close();
      server = await startSandboxServer(config);
      stage.url = server.url;
    },
    vanish: async (id) => {
      // As far as the gateway can tell, the sandbox has fallen silent in the middle of its work.
      const { checkpoint } = gateway;
      gateway.away = true;
      await killSessionProcesses(stage.sessionDir(id));
      await server.close();
      await rm(config.root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
      gateway.away = false;
      gateway.checkpoint = checkpoint;
      server = await startSandboxServer(config);
      stage.url = server.url;
    },
    die: async () => {
      const disk = `${config.root}.at-death`;
      gateway.away = true;
      // What the server would still write while it closes is not on this copy.
      await promisify(execFile)('cp', ['-a', config.root, disk]).catch((error: unknown) => {
        // The server goes on meanwhile: what it removes while the copy is made is not on it.
        if (!String(error).includes('No such file or directory')) throw error;
      });
      await server.close();
      await rm(config.root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
      await rename(disk, config.root);
      gateway.away = false;
      server = await startSandboxServer(config);
      stage.url = server.url;
    },
    close: async () => {
      testClock.calm();
      await server.close();
      await gateway.close();
      await model.close();
      await host.close();
      // Preparations that a server had begun may still write.
      await rm(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
  return stage;
}

function client(
  stage: () => Stage,
  gateway: GatewayStandIn,
  conversationId: string,
  credential: 'subscription' | 'api-key',
) {
  const ask = (path: string, method: string, body?: unknown) =>
    fetch(`${stage().url}${path}`, {
      method,
      headers: { authorization: `Bearer ${SERVER_SECRET}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  const eventsOf = <T extends SandboxEvent['type']>(type: T): EventOf<T>[] =>
    gateway.events.filter((event): event is EventOf<T> => event.type === type);
  // Looked at every few milliseconds while something is waited for: each line is parsed once.
  const parsed = new WeakMap<EventOf<'line'>, Record<string, unknown>>();
  const parse = (event: EventOf<'line'>) => {
    const known = parsed.get(event) ?? (JSON.parse(event.line) as Record<string, unknown>);
    parsed.set(event, known);
    return known;
  };
  const lines = (type: string) =>
    eventsOf('line')
      .map(parse)
      .filter((line) => line.type === type);
  const command = (id: string, body: SandboxCommand) => ask(`/sessions/${id}/commands`, 'POST', body);
  const startBody = (overrides: DeepPartial<StartSession> = {}): StartSession => ({
    generation: overrides.generation ?? 1,
    gateway: { url: gateway.url, token: gateway.token, ...overrides.gateway },
    repository: {
      fullName: SAMPLE_REPOSITORY,
      baseBranch: 'main',
      branch: 'cyrus/shop-1',
      ...overrides.repository,
    },
    claude: {
      credential,
      model: 'sonnet',
      conversationId,
      systemPrompt: 'You are Cyrus.',
      answerSeconds: 300,
      stallSeconds: 120,
      ...overrides.claude,
    },
    waitsForHelpers: overrides.waitsForHelpers ?? true,
    author: { name: 'Cyrus', email: 'cyrus@cyrus.test', ...overrides.author },
    setupTimeoutSeconds: overrides.setupTimeoutSeconds ?? 60,
    ...(overrides.setupScripts !== undefined && {
      setupScripts: overrides.setupScripts as NonNullable<StartSession['setupScripts']>,
    }),
    ...(overrides.commits !== undefined && { commits: overrides.commits as NonNullable<StartSession['commits']> }),
    ...(overrides.knows !== undefined && { knows: overrides.knows }),
    ...(overrides.saveTurn !== undefined && { saveTurn: overrides.saveTurn }),
    // Taken as a whole: a test that gives one gives all of it.
    ...(overrides.restore !== undefined && { restore: overrides.restore as CheckpointManifest }),
  });
  return {
    sessionDir: (id: string) => join(stage().root, 'sessions', id),
    worktree: (id: string) => join(stage().root, 'sessions', id, 'worktree'),
    startBody,
    put: (id: string, body: unknown) => ask(`/sessions/${id}`, 'PUT', body),
    start: async (id: string, overrides?: DeepPartial<StartSession>) => {
      const answer = await ask(`/sessions/${id}`, 'PUT', startBody(overrides));
      if (answer.status !== 200) throw new Error(`PUT: ${answer.status} ${await answer.text()}`);
      return sandboxStatusSchema.parse(await answer.json());
    },
    status: async (id: string) => sandboxStatusSchema.parse(await (await ask(`/sessions/${id}`, 'GET')).json()),
    command,
    prompt: async (id: string, text: string, turn = 1) => {
      const promptId = randomUUID();
      const answer = await command(id, { type: 'prompt', id: promptId, turn, text });
      if (answer.status !== 202) throw new Error(`prompt: ${answer.status} ${await answer.text()}`);
      return promptId;
    },
    stop: async (id: string, turn = 1) => {
      const stopId = randomUUID();
      const answer = await command(id, { type: 'stop', id: stopId, turn });
      if (answer.status !== 202) throw new Error(`stop: ${answer.status} ${await answer.text()}`);
      return stopId;
    },
    event: <T extends SandboxEvent['type']>(
      type: T,
      fits: (event: EventOf<T>) => boolean = () => true,
      timeoutMs?: number,
    ) =>
      eventually(
        () => eventsOf(type).find(fits),
        `an event "${type}"`,
        timeoutMs,
        () => describe(gateway),
      ),
    eventsOf,
    lines,
    result: (nth = 1) =>
      eventually(
        () => lines('result')[nth - 1],
        `result ${nth} of Claude`,
        undefined,
        () => describe(gateway),
      ),
  };
}

function describe(gateway: GatewayStandIn): string {
  return gateway.events.map((event) => JSON.stringify(event).slice(0, 300)).join('\n');
}

/** Looks again and again until something is there. */
export async function eventually<T>(
  look: () => T | undefined | null | false | Promise<T | undefined | null | false>,
  what: string,
  timeoutMs = 90_000,
  context: () => string = () => '',
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`${what} did not come within ${timeoutMs} ms\n${context()}`);
    await new Promise((done) => setTimeout(done, 5));
  }
}

/** Processes of a session that are alive. */
export function processesOf(stage: Stage, id: string): number[] {
  return sessionProcesses(stage.sessionDir(id));
}

/** A server in a process of its own, to be killed. */
export interface ServerProcess {
  url: string;
  child: ChildProcess;
  /** Everything it has printed. */
  log(): string;
}

/** Runs `node container/server.ts` and waits until it listens. */
export async function runServer(root: string, env: Record<string, string> = {}): Promise<ServerProcess> {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../../container/server.ts')], {
    env: {
      PATH: process.env.PATH ?? '',
      CYRUS_SANDBOX_ROOT: root,
      PORT: '0',
      CYRUS_SANDBOX_SECRET: SERVER_SECRET,
      CYRUS_WALLS: process.env.CYRUS_TEST_WALLS ?? 'none',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  child.stdout.on('data', (chunk: Buffer) => {
    printed += chunk.toString('utf8');
  });
  child.stderr.on('data', (chunk: Buffer) => {
    printed += chunk.toString('utf8');
  });
  const url = await eventually(
    () => /"url":"(http:[^"]+)"/.exec(printed)?.[1],
    'the server',
    15_000,
    () => printed,
  );
  return { url, child, log: () => printed };
}
