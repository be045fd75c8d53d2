/**
 * The sandbox server's settings, read once from the environment. A wrong value names itself and says what to do.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { totalmem } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { z } from 'zod';
import { isLoopback } from '../src/lib/loopback.ts';
import { WALL_SETTINGS, type WallKind, type WallLimits, type WallSetting } from './walls/walls.ts';

/** Everything the server may be told; times are milliseconds. */
export interface SandboxConfig {
  /** Absolute directory that holds `mirrors/` and `sessions/`. */
  root: string;
  /** 0 picks a free port. */
  port: number;
  host: string;
  /** Asked of every request but `/health` as `Authorization: Bearer …`; null if the network itself is private. */
  secret: string | null;
  /** Claude CLI: an absolute path, or a name looked up on PATH. */
  claudeBin: string;
  /** A CLI without a turn is ended after this time; the next prompt resumes its conversation. */
  idleMs: number;
  /** A CLI that prints nothing for this long during a turn, while no tool runs, is taken for hung. */
  silenceMs: number;
  /** The same while a tool runs: a build may be quiet for long, but not forever. */
  toolSilenceMs: number;
  /** Helpers that work longer than this after Claude's own last word are ended. */
  helperMs: number;
  /** A command in the background holds the end of a turn until it is so old. */
  commandMs: number;
  /** A start waits so long for a git host that is away. */
  hostPatienceMs: number;
  /** Longest time a graceful end (SIGTERM) takes for saving and posting what is left. */
  shutdownMs: number;
  /** Most content of Git LFS that a checkout fetches, in bytes. */
  lfsBytes: number;
  /** What is to separate sessions. */
  walls: WallSetting;
  /** Folders that no session is to see, besides the server's own and its user's home. */
  hidden: string[];
  limits: WallLimits;
  /** Whether sessions may run behind these walls: without any only if that was set, or nobody else is there. */
  mayRun: (kind: WallKind) => boolean;
  /** ANTHROPIC_API_KEY is set in the server's environment. It never reaches Claude, and is refused where a subscription pays. */
  hasApiKey: boolean;
}

/** Two weeks: a timer of Node's holds 24 days, and one that is set for longer fires at once. */
const MOST_MINUTES = 14 * 24 * 60;

const minutes = (standard: number) =>
  z.coerce
    .number('must be a number of minutes')
    .positive('must be more than 0 minutes')
    .max(MOST_MINUTES, `must be at most ${MOST_MINUTES} minutes (14 days)`)
    .default(standard)
    .transform((value) => value * 60_000);

const environmentSchema = z.object({
  CYRUS_SANDBOX_ROOT: z.string().default('/workspace'),
  PORT: z.coerce.number('must be a port number').int().min(0).max(65_535, 'must be at most 65535').default(8080),
  HOST: z.string().min(1).default('127.0.0.1'),
  CYRUS_SANDBOX_SECRET: z.string().min(16, 'must have at least 16 characters').optional(),
  CLAUDE_BIN: z.string().min(1).optional(),
  CYRUS_IDLE_MINUTES: minutes(5),
  CYRUS_SILENCE_MINUTES: minutes(15),
  CYRUS_TOOL_SILENCE_MINUTES: minutes(60),
  CYRUS_HELPER_MINUTES: minutes(30),
  CYRUS_COMMAND_WAIT_SECONDS: z.coerce.number('must be a number of seconds').nonnegative().max(3600).default(20),
  CYRUS_GIT_WAIT_MINUTES: minutes(12 * 60),
  CYRUS_LFS_MIB: z.coerce.number('must be a number of MiB').nonnegative().max(1_000_000).default(1_024),
  CYRUS_WALLS: z.enum(WALL_SETTINGS, `must be one of ${WALL_SETTINGS.join(', ')}`).default('auto'),
  CYRUS_HIDDEN: z.string().default(''),
  CYRUS_SESSION_PROCESSES: z.coerce.number('must be a number of processes').int().min(64).max(1_000_000).default(4_096),
  CYRUS_PROCESS_MIB: z.coerce.number('must be a number of MiB').int().min(1_024).max(10_000_000).default(16_384),
  CYRUS_SESSION_MIB: z.coerce.number('must be a number of MiB').int().min(512).max(10_000_000).optional(),
  ANTHROPIC_API_KEY: z.string().optional(),
  CYRUS_SHUTDOWN_SECONDS: z.coerce.number('must be a number of seconds').positive().max(600).default(60),
});

/** The settings are wrong. `problems` has one line for each wrong value, naming it. */
export class SandboxConfigError extends Error {
  override readonly name = 'SandboxConfigError';
  readonly problems: string[];
  constructor(problems: string[]) {
    super(`The sandbox server is not configured: ${problems.join('; ')}`);
    this.problems = problems;
  }
}

/**
 * Reads the settings.
 * @param env usually `process.env`; an empty value counts as not set
 * @throws SandboxConfigError naming every wrong value at once
 */
export function readSandboxConfig(env: Record<string, string | undefined>): SandboxConfig {
  const present = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const parsed = environmentSchema.safeParse(present);
  if (!parsed.success) {
    throw new SandboxConfigError(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`));
  }
  const values = parsed.data;
  const secret = values.CYRUS_SANDBOX_SECRET ?? null;
  // Anyone who reaches this server runs commands on it. Cloudflare sets CLOUDFLARE_DURABLE_OBJECT_ID in a container that
  // only its own object can reach (https://developers.cloudflare.com/containers/platform-details/environment-variables/).
  if (!secret && !isLoopback(values.HOST) && !present.CLOUDFLARE_DURABLE_OBJECT_ID) {
    throw new SandboxConfigError([
      `CYRUS_SANDBOX_SECRET is not set although HOST is ${values.HOST}: anyone who reaches this address could run commands here. Set it to the same value as the Worker's SANDBOX_ENDPOINT_SECRET, or HOST to 127.0.0.1`,
    ]);
  }
  return {
    root: resolve(values.CYRUS_SANDBOX_ROOT),
    port: values.PORT,
    host: values.HOST,
    secret,
    claudeBin: values.CLAUDE_BIN ? claudeAt(values.CLAUDE_BIN) : installedClaude(),
    idleMs: values.CYRUS_IDLE_MINUTES,
    silenceMs: values.CYRUS_SILENCE_MINUTES,
    toolSilenceMs: values.CYRUS_TOOL_SILENCE_MINUTES,
    helperMs: values.CYRUS_HELPER_MINUTES,
    commandMs: values.CYRUS_COMMAND_WAIT_SECONDS * 1000,
    hostPatienceMs: values.CYRUS_GIT_WAIT_MINUTES,
    shutdownMs: values.CYRUS_SHUTDOWN_SECONDS * 1000,
    lfsBytes: values.CYRUS_LFS_MIB * 1024 ** 2,
    walls: values.CYRUS_WALLS,
    hidden: values.CYRUS_HIDDEN.split(':').filter((folder) => folder !== ''),
    limits: {
      processes: values.CYRUS_SESSION_PROCESSES,
      memoryBytes: values.CYRUS_PROCESS_MIB * 1024 ** 2,
      sessionBytes: values.CYRUS_SESSION_MIB === undefined ? mostOfTheMemory() : values.CYRUS_SESSION_MIB * 1024 ** 2,
    },
    // A container on Cloudflare holds one session; a local server is a developer's own.
    mayRun: (kind) =>
      kind !== 'none' ||
      values.CYRUS_WALLS === 'none' ||
      present.CLOUDFLARE_DURABLE_OBJECT_ID !== undefined ||
      present.ENVIRONMENT === 'local',
    hasApiKey: values.ANTHROPIC_API_KEY !== undefined,
  };
}

/** Three quarters of the machine's memory, or of what the server itself may take: one session leaves the server and the others some. */
function mostOfTheMemory(): number {
  const allowed = process.constrainedMemory();
  const all = allowed > 0 ? Math.min(allowed, totalmem()) : totalmem();
  return Math.floor(all * 0.75);
}

function claudeAt(path: string): string {
  if (isAbsolute(path) && !existsSync(path)) {
    throw new SandboxConfigError([`CLAUDE_BIN: ${path} does not exist; point it at the claude executable`]);
  }
  return path;
}

/**
 * The executable of the platform package, which works even where install scripts are off and the wrapper package
 * `@anthropic-ai/claude-code` therefore has no binary of its own; else whatever `claude` is on PATH.
 */
function installedClaude(): string {
  const require = createRequire(import.meta.url);
  const platform = `@anthropic-ai/claude-code-${process.platform}-${process.arch}`;
  for (const name of [platform, `${platform}-musl`]) {
    try {
      const binary = join(dirname(require.resolve(`${name}/package.json`)), 'claude');
      if (existsSync(binary)) return binary;
    } catch {
      // Not installed for this platform: try the next.
    }
  }
  return 'claude';
}
