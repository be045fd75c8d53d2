/**
 * `npm run bench:start [rounds]`: from the webhook to the first request to the model, for a small and a large repository, beside
 * the floor of what cannot be saved: the CLI's own start and a local `git worktree add`. All in turns in one run. The Worker as
 * a deploy bundles it, in workerd with real D1, R2 and objects; the real sandbox server, git and CLI; Linear's simulator, and the
 * scripted model. See docs/benchmarks.md.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { claudeArguments, claudeEnvironment } from '../../container/claude/claude-command.ts';
import { ClaudeProcess } from '../../container/claude/claude-process.ts';
import { writeMcpConfig } from '../../container/claude/mcp.ts';
import { readSandboxConfig } from '../../container/config.ts';
import { makeShareFolder } from '../../container/files/outgoing-files.ts';
import { openAccess } from '../../container/gateway/session-access.ts';
import { remoteOf } from '../../container/git/workspace.ts';
import { type SessionPaths, sessionPaths } from '../../container/paths.ts';
import { readRecord } from '../../container/session/session-record.ts';
import { NO_WALL } from '../../container/walls/session-wall.ts';
import { bash } from '../../dev/claude/script.ts';
import { startScriptedModel } from '../../dev/claude/scripted-model.ts';
import { runGit } from '../../dev/git/git-command.ts';
import { startGitHost } from '../../dev/git/git-host.ts';
import { sampleRepository } from '../../dev/git/sample-repository.ts';
import type { SeedCommit } from '../../dev/git/seed.ts';
import { startLinearSimulator } from '../../dev/linear/simulator.ts';
import { type Child, plainEnvironment, startProcess, waitFor } from '../../dev/processes.ts';
import { PROJECT } from '../../dev/settings.ts';
import type { StartSession } from '../../src/protocol/sandbox/start.ts';
import { ADMIN_TOKEN, WEBHOOK_SECRET } from './cyrus.ts';
import { type Bar, conclude, median, round } from './figures.ts';
import { startWorker } from './miniflare.ts';

const ROUNDS = Number(process.argv[2] ?? 5);
const LARGE_COMMITS = 20_000;
const MOST_TIMES_THE_FLOOR = 2;
const LIMIT_MS = 120_000;

const GIT = { username: 'cyrus', password: 'bench-git-password' };
const MODEL_TOKEN = 'sk-ant-oat01-bench';
const LINEAR_TOKEN = 'lin_oauth_bench';
const SANDBOX_SECRET = 'bench-sandbox-secret-0123';
const SIZES = { small: 'acme/shop', large: 'acme/large' } as const;
type Size = keyof typeof SIZES;
/** What a start finds: nothing; a bundle at the gateway; the repository on the disk. */
const WAYS = ['cold', 'bundle', 'warm'] as const;
type Way = (typeof WAYS)[number];

const folder = mkdtempSync(join(tmpdir(), 'cyrus-bench-'));
const closers: (() => Promise<void>)[] = [async () => rmSync(folder, { recursive: true, force: true })];
let disks = 0;
try {
  const host = await startGitHost({ root: join(folder, 'git'), ...GIT });
  closers.push(() => host.close());
  await host.ensureRepository(SIZES.small, await sampleRepository());
  await host.ensureRepository(SIZES.large, { branch: 'main', commits: history() });
  const model = await startScriptedModel({
    expectedCredential: { header: 'authorization', value: MODEL_TOKEN },
    scripts: {
      *answer() {
        yield* bash('true', 'Nothing');
        return { text: 'Done.' };
      },
    },
  });
  closers.push(() => model.close());
  const linear = await startLinearSimulator({
    webhookUrl: null,
    webhookSecret: WEBHOOK_SECRET,
    accessToken: LINEAR_TOKEN,
  });
  closers.push(() => linear.close());
  const sandboxPort = await quietPort();
  const worker = await startWorker(folder, {
    LINEAR_API_URL: linear.graphqlUrl,
    ANTHROPIC_API_URL: model.url,
    CLAUDE_CODE_OAUTH_TOKEN: MODEL_TOKEN,
    SCRIPTED_MODEL: 'true',
    SANDBOX_ENDPOINT_URL: `http://127.0.0.1:${sandboxPort}`,
    SANDBOX_ENDPOINT_SECRET: SANDBOX_SECRET,
    PAUSED: 'false',
  });
  closers.push(() => worker.miniflare.dispose());
  const bucket = await worker.miniflare.getR2Bucket('LOGS');
  await configure();
  linear.setWebhookUrl(`${worker.url}/webhooks/linear`);

  const figures: Record<string, object> = {};
  const bars: Bar[] = [];
  for (const size of Object.keys(SIZES) as Size[]) {
    const { figure, ratio } = await measure(size);
    figures[size] = figure;
    bars.push({
      bar: `${size}: a start with the repository on the disk within ${MOST_TIMES_THE_FLOOR} times the floor`,
      measured: ratio,
      holds: ratio <= MOST_TIMES_THE_FLOOR,
    });
  }
  conclude({ bench: 'start', rounds: ROUNDS, largeCommits: LARGE_COMMITS, ...figures }, bars);

  async function measure(size: Size) {
    const warmDisk = newDisk();
    // Leaves the repository on the disk and, where it is large enough, a bundle at the gateway.
    const first = await start(size, warmDisk, size === 'large');
    const bundle = await takeBundle(size);
    const times: Record<Way | 'cli' | 'worktree', number[]> = { cold: [], bundle: [], warm: [], cli: [], worktree: [] };
    for (let at = 0; at < ROUNDS; at += 1) {
      const floor = await measureFloor(size, first.example);
      times.cli.push(floor.cli);
      times.worktree.push(floor.worktree);
      for (const way of WAYS) {
        await putBundle(way === 'bundle' ? bundle : []);
        const disk = way === 'warm' ? warmDisk : newDisk();
        const { ms } = await start(size, disk, false);
        times[way].push(ms);
        if (way !== 'warm') rmSync(disk, { recursive: true, force: true });
      }
      const last = Object.entries(times).map(([name, all]) => `${name} ${round(all.at(-1) ?? 0, 0)}`);
      console.error(`${size}, round ${at + 1}: ${last.join(', ')} ms`);
    }
    await putBundle([]);
    const medians = Object.fromEntries(Object.entries(times).map(([name, all]) => [name, round(median(all), 0)]));
    const floor = median(times.cli) + median(times.worktree);
    const ratios = Object.fromEntries(WAYS.map((way) => [way, round(median(times[way]) / floor)]));
    const figure = { floorMs: round(floor, 0), ...medians, timesTheFloor: ratios, bundleBytes: sizeOf(bundle) };
    return { figure, ratio: ratios.warm ?? Number.NaN };
  }

  /**
   * One issue, from the moment that Linear sends its webhook.
   * @param waitsForBundle until the sandbox has stored one
   * @returns ms until the model was asked first, and how its CLI was started
   */
  async function start(size: Size, disk: string, waitsForBundle: boolean): Promise<{ ms: number; example: Example }> {
    const sandbox = await startSandbox(disk);
    try {
      const before = new Set(readSessions(disk));
      const marks = `[repo=${SIZES[size]}] [script: answer]`;
      const issue = linear.createIssue({ title: 'Say that it is done', description: marks });
      const since = Date.now();
      const { id } = linear.delegate(issue.identifier);
      const ms = (await firstRequest(since)) - since;
      await linear.waitFor('the answer', () => linear.session(id).status === 'complete', LIMIT_MS);
      if (waitsForBundle) await waitFor('the bundle', async () => (await takeBundle(size)).length > 0, LIMIT_MS);
      const session = readSessions(disk).find((name) => !before.has(name)) ?? '';
      const example = await readExample(disk, session);
      // A server takes up the sessions on its disk when it starts; here that would run beside the next measurement.
      const headers = { authorization: `Bearer ${SANDBOX_SECRET}` };
      await fetch(`http://127.0.0.1:${sandboxPort}/sessions/${session}?purge=true`, { method: 'DELETE', headers });
      return { ms, example };
    } finally {
      await sandbox.end();
    }
  }

  async function startSandbox(disk: string): Promise<Child> {
    const environment = {
      ...plainEnvironment(),
      PORT: String(sandboxPort),
      CYRUS_SANDBOX_ROOT: disk,
      CYRUS_WALLS: 'none',
      CYRUS_SANDBOX_SECRET: SANDBOX_SECRET,
    };
    const server = join(PROJECT, 'container', 'server.ts');
    const child = startProcess(process.execPath, [server], environment, join(folder, 'sandbox.log'));
    const isUp = async () => (await fetch(`http://127.0.0.1:${sandboxPort}/health`)).ok;
    await waitFor('the sandbox', isUp, 60_000).catch((error: unknown) => {
      console.error(readFileSync(join(folder, 'sandbox.log'), 'utf8').slice(-2_000));
      throw error;
    });
    return child;
  }

  /** When the model was asked first after this moment; both in ms since the epoch. */
  async function firstRequest(since: number): Promise<number> {
    const find = () =>
      model
        .requests()
        .find(({ at, path, method }) => at >= since && method === 'POST' && path.startsWith('/v1/messages'));
    await waitFor('a request to the model', async () => find() !== undefined, LIMIT_MS);
    return find()?.at ?? Number.NaN;
  }

  /** The CLI as a session starts it, asked at once and straight at the model; and a worktree of a clone on the same disk. */
  async function measureFloor(size: Size, example: Example): Promise<{ cli: number; worktree: number }> {
    const disk = newDisk();
    const paths = sessionPaths(disk, 'floor');
    for (const dir of [paths.home, paths.claudeConfig, paths.tmp]) mkdirSync(dir, { recursive: true });
    await makeShareFolder(paths.share);
    const clone = join(folder, `${size}.git`);
    if (!readdirSync(folder).includes(`${size}.git`)) {
      await runGit(['clone', '--quiet', '--bare', (await host.directory(SIZES[size])) ?? '', clone]);
    }
    const worktreeSince = performance.now();
    await runGit(['worktree', 'add', '--quiet', '-B', `floor-${disks}`, paths.worktree, 'main'], { cwd: clone });
    const worktree = performance.now() - worktreeSince;
    const conversationId = randomUUID();
    const startBody = { ...example.start, claude: { ...example.start.claude, conversationId } };
    const cli = await cliStart({ ...example, start: startBody }, paths);
    await runGit(['worktree', 'remove', '--force', paths.worktree], { cwd: clone });
    rmSync(disk, { recursive: true, force: true });
    return { cli, worktree };
  }

  async function cliStart({ start: startBody, instructions }: Example, paths: SessionPaths): Promise<number> {
    writeFileSync(paths.instructions, instructions);
    const access = await openAccess(paths.dir, () => startBody.gateway, NO_WALL);
    await writeMcpConfig(startBody, paths, access.proxy.url);
    const environment = claudeEnvironment(startBody, paths, remoteOf(paths, startBody, access));
    const since = Date.now();
    const cli = await ClaudeProcess.start({
      bin: readSandboxConfig({}).claudeBin,
      args: claudeArguments(startBody, paths, false),
      env: { ...environment, ANTHROPIC_BASE_URL: model.url },
      cwd: paths.worktree,
      key: MODEL_TOKEN,
      access,
      sessionDir: paths.dir,
      onLine: () => {},
      onStderr: () => {},
    });
    cli.prompt(randomUUID(), '[script: answer] Say that it is done');
    const ms = (await firstRequest(since)) - since;
    await cli.end(false);
    access.proxy.close();
    return ms;
  }

  async function configure(): Promise<void> {
    const { id, name, urlKey } = linear.workspace;
    const workspace = `/api/admin/workspaces/${id}`;
    await admin(workspace, { name, urlKey, appUserId: linear.appUserId, accessToken: LINEAR_TOKEN });
    for (const fullName of Object.values(SIZES)) {
      await admin(`${workspace}/repositories/${fullName}`, {
        cloneUrl: host.cloneUrl(fullName),
        baseBranch: 'main',
        credential: GIT,
      });
    }
  }

  async function admin(path: string, body: object): Promise<void> {
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' };
    const response = await fetch(worker.url + path, { method: 'PUT', headers, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`PUT ${path} was answered ${response.status}: ${await response.text()}`);
  }

  /** What the gateway keeps of a repository, once its manifest is there. */
  async function takeBundle(size: Size): Promise<{ key: string; content: ArrayBuffer }[]> {
    const prefix = `repositories/${linear.workspace.id}/${encodeURIComponent(SIZES[size])}/`;
    const { objects } = await bucket.list({ prefix });
    if (!objects.some(({ key }) => key.endsWith('.json'))) return [];
    return Promise.all(
      objects.map(async ({ key }) => ({
        key,
        content: (await (await bucket.get(key))?.arrayBuffer()) as ArrayBuffer,
      })),
    );
  }

  /** Has the gateway keep exactly this. */
  async function putBundle(objects: { key: string; content: ArrayBuffer }[]): Promise<void> {
    const kept = await bucket.list({ prefix: 'repositories/' });
    await bucket.delete(kept.objects.map(({ key }) => key));
    for (const { key, content } of objects) await bucket.put(key, content);
  }
} finally {
  for (const close of closers.reverse()) await close();
}

/** How the CLI of a session was started. */
interface Example {
  start: StartSession;
  instructions: string;
}

async function readExample(disk: string, session: string): Promise<Example> {
  const paths = sessionPaths(disk, session);
  const record = await readRecord(paths, null);
  if (!record) throw new Error(`${paths.record} cannot be read`);
  return { start: record.start, instructions: readFileSync(paths.instructions, 'utf8') };
}

/** A free port that no outgoing connection is given meanwhile: the sandbox is started on it again and again. */
async function quietPort(): Promise<number> {
  for (let port = 21_000 + (process.pid % 9_000); ; port += 1) {
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((closed) => server.close(closed));
    return port;
  }
}

function newDisk(): string {
  disks += 1;
  return join(folder, `disk-${disks}`);
}

function readSessions(disk: string): string[] {
  try {
    return readdirSync(join(disk, 'sessions'));
  } catch {
    return [];
  }
}

function sizeOf(objects: { content: ArrayBuffer }[]): number {
  return objects.reduce((sum, { content }) => sum + content.byteLength, 0);
}

/** Commits that change one of 2,000 files each, as a project of many years has them. */
function history(): SeedCommit[] {
  let seed = 1;
  // A generator of its own, so that every run has the same repository (Numerical Recipes' constants).
  const word = () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed.toString(36);
  };
  return Array.from({ length: LARGE_COMMITS }, (_, index) => {
    const file = index < 2_000 ? index : Number.parseInt(word(), 36) % 2_000;
    const text = Array.from({ length: 20 }, () => Array.from({ length: 6 }, word).join(' ')).join('\n');
    return {
      message: `Change ${index}`,
      author: { name: 'Ada', email: 'ada@example.com' },
      at: 1_500_000_000 + index * 3_600,
      files: { [`source/part-${file % 40}/file-${file}.txt`]: `${text}\n` },
    };
  });
}
