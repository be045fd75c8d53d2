/** What a local run is made of: ports, secrets of its own, and the user's `.dev.vars`. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { parseEnv } from 'node:util';
import { z } from 'zod';
import { parseJson } from '../src/lib/parse-json.ts';

/** The project's root folder. */
export const PROJECT = dirname(import.meta.dirname);

/** Something a person has to put right before a local run can start. The message is one line that says what to do. */
export class SetupProblem extends Error {
  override readonly name = 'SetupProblem';
}

const secretsSchema = z.object({
  webhookSecret: z.string(),
  encryptionKey: z.string(),
  adminToken: z.string(),
  accessPassword: z.string(),
  sandboxSecret: z.string(),
  linearAccessToken: z.string(),
  gitPassword: z.string(),
  scriptedModelToken: z.string(),
});
/** Secrets of the local run, made once and kept, so that what was encrypted stays readable. */
export type LocalSecrets = z.infer<typeof secretsSchema>;

/** Reads the secrets of a local run from its folder, or makes them. */
export function localSecrets(folder: string): LocalSecrets {
  const file = join(folder, 'secrets.json');
  if (existsSync(file)) {
    const known = secretsSchema.safeParse(parseJson(readFileSync(file, 'utf8')));
    if (known.success) return known.data;
    throw new SetupProblem(`${file} is damaged: delete the folder ${folder} to start over.`);
  }
  const random = () => randomBytes(24).toString('base64url');
  const secrets: LocalSecrets = {
    webhookSecret: `lin_wh_${random()}`,
    encryptionKey: randomBytes(32).toString('base64'),
    adminToken: random(),
    accessPassword: random(),
    sandboxSecret: random(),
    linearAccessToken: `lin_oauth_${random()}`,
    gitPassword: random(),
    scriptedModelToken: `sk-ant-oat01-local-${random()}`,
  };
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, JSON.stringify(secrets, null, 2), { mode: 0o600 });
  return secrets;
}

/** How Claude is reached: by the user's own credential, or not at all. */
export type ClaudeChoice =
  | { kind: 'scripted' }
  | {
      kind: 'real';
      mode: 'subscription' | 'api-key';
      variable: 'CLAUDE_CODE_OAUTH_TOKEN' | 'ANTHROPIC_API_KEY';
      secret: string;
    };

/**
 * Reads `.dev.vars` of the project.
 * @throws SetupProblem if an API key would be charged although a subscription is asked for
 */
export function claudeChoice(file = join(PROJECT, '.dev.vars')): ClaudeChoice {
  if (!existsSync(file)) return { kind: 'scripted' };
  const variables = parseEnv(readFileSync(file, 'utf8'));
  const { CLAUDE_CODE_OAUTH_TOKEN: token, ANTHROPIC_API_KEY: key, CLAUDE_CREDENTIAL: mode } = variables;
  if (mode === 'api-key') {
    if (!key)
      throw new SetupProblem('.dev.vars: CLAUDE_CREDENTIAL is "api-key" but ANTHROPIC_API_KEY is missing; add it.');
    return { kind: 'real', mode, variable: 'ANTHROPIC_API_KEY', secret: key };
  }
  if (key) {
    throw new SetupProblem(
      '.dev.vars: ANTHROPIC_API_KEY is set but CLAUDE_CREDENTIAL is not "api-key"; remove the key, or set CLAUDE_CREDENTIAL=api-key to be charged by it.',
    );
  }
  return token
    ? { kind: 'real', mode: 'subscription', variable: 'CLAUDE_CODE_OAUTH_TOKEN', secret: token }
    : { kind: 'scripted' };
}

/** The services of a local run that listen. */
export const SERVICES = {
  cyrus: { name: 'Cyrus', port: 8787, variable: 'CYRUS_PORT' },
  linear: { name: 'the Linear simulator', port: 8788, variable: 'LINEAR_PORT' },
  git: { name: 'the git host', port: 8789, variable: 'GIT_PORT' },
  model: { name: 'the scripted model', port: 8790, variable: 'MODEL_PORT' },
  sandbox: { name: 'the sandbox', port: 8791, variable: 'SANDBOX_PORT' },
  github: { name: 'the stand-in for GitHub', port: 8792, variable: 'GITHUB_PORT' },
} as const;
export type Service = keyof typeof SERVICES;
export type Ports = Record<Service, number>;

/**
 * The usual ports, each changeable by its environment variable.
 * @throws SetupProblem naming a port that is taken or is none
 */
export async function usualPorts(environment: NodeJS.ProcessEnv): Promise<Ports> {
  const ports = { cyrus: 0, linear: 0, git: 0, model: 0, sandbox: 0, github: 0 };
  for (const service of Object.keys(SERVICES) as Service[]) {
    const { name, port, variable } = SERVICES[service];
    const wanted = environment[variable] === undefined ? port : Number(environment[variable]);
    if (!Number.isInteger(wanted) || wanted < 1 || wanted > 65_535) {
      throw new SetupProblem(`${variable} is no port number: set it to a number from 1 to 65535.`);
    }
    if (!(await isFree(wanted))) {
      throw new SetupProblem(
        `Port ${wanted} for ${name} is taken: stop what uses it, or choose another by ${variable}=…`,
      );
    }
    ports[service] = wanted;
  }
  return ports;
}

/** Ports that nothing listens on right now. */
export async function freePorts(): Promise<Ports> {
  const listeners = await Promise.all(Object.keys(SERVICES).map(() => listen(0)));
  const [cyrus = 0, linear = 0, git = 0, model = 0, sandbox = 0, github = 0] = listeners.map(({ port }) => port);
  await Promise.all(listeners.map(({ close }) => close()));
  return { cyrus, linear, git, model, sandbox, github };
}

/** A port that nothing listens on right now. */
export async function freePort(): Promise<number> {
  const { port, close } = await listen(0);
  await close();
  return port;
}

async function isFree(port: number): Promise<boolean> {
  try {
    await (await listen(port)).close();
    return true;
  } catch {
    return false;
  }
}

function listen(port: number): Promise<{ port: number; close: () => Promise<void> }> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      const bound = typeof address === 'object' && address ? address.port : port;
      resolve({ port: bound, close: () => new Promise((closed) => server.close(() => closed())) });
    });
  });
}
