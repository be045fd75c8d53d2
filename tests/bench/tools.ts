/**
 * `npm run bench:tools [files] [bytes a file] [tools]`: what a tool call takes in a session, beside the same calls of the CLI alone
 * in a plain clone, in turns in one run: in the sample repository, and in one of 60,000 files. Then what checkpoints cost with as
 * many untracked files: the first, and those after it. The real sandbox server, git and CLI; the scripted model, which answers at
 * once; a stand-in for the gateway. See docs/benchmarks.md.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { claudeArguments, claudeEnvironment } from '../../container/claude/claude-command.ts';
import { ClaudeProcess } from '../../container/claude/claude-process.ts';
import { writeMcpConfig } from '../../container/claude/mcp.ts';
import { readSandboxConfig } from '../../container/config.ts';
import { makeShareFolder } from '../../container/files/outgoing-files.ts';
import { openAccess } from '../../container/gateway/session-access.ts';
import { remoteOf } from '../../container/git/workspace.ts';
import { logTo } from '../../container/log.ts';
import { sessionPaths } from '../../container/paths.ts';
import { NO_WALL } from '../../container/walls/session-wall.ts';
import { bash, edit, read, write } from '../../dev/claude/script.ts';
import { scripts } from '../../dev/claude/scripts.ts';
import { runGit } from '../../dev/git/git-command.ts';
import { SAMPLE_REPOSITORY } from '../../dev/git/sample-repository.ts';
import { eventually, REAL_MODEL_CREDENTIAL, type Stage, setStage } from '../container/stage.ts';
import { type Bar, conclude, median, percentile, round } from './figures.ts';

const [FILES = 60_000, BYTES = 1_024, TOOLS = 30] = process.argv.slice(2).map(Number);
const ROUNDS = 3;
const MOST_ADDED_MS = 40;
/** A later checkpoint of a worktree with many untracked files looks at all of them, and reads what has changed. */
const MOST_LATER_MS = 1_000;
const LIMIT_MS = 3 * 60_000;
const LARGE_REPOSITORY = 'acme/many-files';

/** Edits, new files and commands in turns, as fast as the model's answers come. */
scripts.tools = function* (task) {
  const file = join(task.directory, 'bench.txt');
  yield* write(file, 'round 0\n');
  yield* read(file);
  for (let at = 0; at < TOOLS; at += 1) {
    if (at % 3 === 0) yield* edit(file, `round ${at}\n`, `round ${at + 3}\n`);
    else if (at % 3 === 1) yield* write(join(task.directory, `bench-${at}.txt`), `file ${at}\n`);
    else yield* bash(`echo ${at} >> bench.log`, 'A line more');
  }
  return { text: 'Done.' };
};

const UNTRACKED = `node -e "const fs=require('fs');for(let i=0;i<${FILES};i++){const d='made/'+i%300;if(i<300)fs.mkdirSync(d,{recursive:true});fs.writeFileSync(d+'/'+i,'file '+i)}"`;
scripts.untracked = function* () {
  yield* bash(UNTRACKED, 'Many files');
  for (let at = 0; at < 8; at += 1) yield* bash(`echo ${at} >> one-more.txt`, 'One more', { pauseMs: 2_000 });
  return { text: 'Done.' };
};

const folder = mkdtempSync(join(tmpdir(), 'cyrus-bench-tools-'));
const stage = await setStage();
const checkpoints: { sessionId: string; ms: number; bytes: number }[] = [];
logTo((line) => {
  const entry = JSON.parse(line) as Record<string, unknown>;
  if (entry.event === 'checkpoint.manifest.stored') checkpoints.push(entry as (typeof checkpoints)[number]);
});
let sessions = 0;
try {
  await makeLargeRepository(stage);
  const bars: Bar[] = [];
  const figures: Record<string, object> = {};
  for (const [name, fullName] of [
    ['sample', SAMPLE_REPOSITORY],
    ['manyFiles', LARGE_REPOSITORY],
  ] as const) {
    const { figure, added } = await measure(name, fullName);
    figures[name] = figure;
    for (const [what, ms] of Object.entries(added))
      bars.push({
        bar: `${name}: a tool takes at most ${MOST_ADDED_MS} ms more (${what})`,
        measured: ms,
        holds: ms <= MOST_ADDED_MS,
      });
  }
  const untracked = await measureUntracked();
  figures.untracked = untracked;
  bars.push({
    bar: `with ${FILES} untracked files a later checkpoint takes at most ${MOST_LATER_MS} ms`,
    measured: untracked.laterMs,
    holds: untracked.laterMs <= MOST_LATER_MS,
  });
  conclude({ bench: 'tools', files: FILES, bytesAFile: BYTES, tools: TOOLS, rounds: ROUNDS, ...figures }, bars);
} finally {
  await stage.close();
  rmSync(folder, { recursive: true, force: true });
}

async function measure(name: string, fullName: string) {
  const bare: number[] = [];
  const inSession: number[] = [];
  for (let at = 0; at < ROUNDS; at += 1) {
    bare.push(...(await runBare(fullName)));
    inSession.push(...(await runSession(fullName)));
    console.error(
      `${name}, round ${at + 1}: bare ${round(median(bare), 0)}, in a session ${round(median(inSession), 0)} ms`,
    );
  }
  const of = (times: number[]) => {
    const sorted = times.toSorted((a, b) => a - b);
    const mean = times.reduce((sum, ms) => sum + ms, 0) / times.length;
    return { median: percentile(sorted, 0.5), mean: round(mean, 1), p95: percentile(sorted, 0.95) };
  };
  const [alone, together] = [of(bare), of(inSession)];
  const own = checkpoints.map(({ ms }) => ms);
  const figure = { bareMs: alone, sessionMs: together, addedP95: together.p95 - alone.p95, checkpointMs: median(own) };
  checkpoints.length = 0;
  return { figure, added: { median: together.median - alone.median, mean: round(together.mean - alone.mean, 1) } };
}

/** @returns ms between the requests that the model was sent, one for each tool */
async function runSession(fullName: string): Promise<number[]> {
  const id = await begin(fullName);
  const since = Date.now();
  await stage.prompt(id, '[script: tools]');
  await stage.event('saved', () => true, LIMIT_MS);
  await end(id);
  return gapsSince(since);
}

async function measureUntracked() {
  const id = await begin(SAMPLE_REPOSITORY);
  checkpoints.length = 0;
  await stage.prompt(id, '[script: untracked]');
  await stage.event('saved', () => true, LIMIT_MS);
  const times = checkpoints.filter(({ sessionId }) => sessionId === id).map(({ ms }) => ms);
  await end(id);
  const first = Math.max(...times);
  const later = times.slice(times.indexOf(first) + 1, -1);
  console.error(`untracked: ${times.join(', ')} ms`);
  return { firstMs: first, laterMs: median(later), later };
}

async function begin(fullName: string): Promise<string> {
  sessions += 1;
  const id = `bench-${sessions}`;
  stage.gateway.awaitNewStream();
  stage.gateway.checkpoint = null;
  await stage.start(id, {
    repository: { fullName, branch: `cyrus/${id}` },
    claude: { conversationId: randomUUID() },
  });
  await stage.event('ready', () => true, LIMIT_MS);
  // History is completed, and the CLI is up.
  await stage.event('cli-started', () => true, LIMIT_MS);
  await new Promise((done) => setTimeout(done, 3_000));
  return id;
}

async function end(id: string): Promise<void> {
  const headers = { authorization: 'Bearer secret-of-the-sandbox-server-0123' };
  await fetch(`${stage.url}/sessions/${id}?purge=true`, { method: 'DELETE', headers });
}

/** The CLI as a session starts it, without the server between it and the model. */
async function runBare(fullName: string): Promise<number[]> {
  const paths = sessionPaths(mkdtempSync(join(folder, 'bare-')), 'bare');
  for (const dir of [paths.home, paths.claudeConfig, paths.tmp]) mkdirSync(dir, { recursive: true });
  await makeShareFolder(paths.share);
  await runGit(['clone', '--quiet', '--shared', (await stage.host.directory(fullName)) ?? '', paths.worktree]);
  const start = stage.startBody({ repository: { fullName }, claude: { conversationId: randomUUID() } });
  writeFileSync(paths.instructions, start.claude.systemPrompt);
  const access = await openAccess(paths.dir, () => start.gateway, NO_WALL);
  await writeMcpConfig(start, paths, access.proxy.url);
  const since = Date.now();
  let isDone = false;
  const cli = await ClaudeProcess.start({
    bin: readSandboxConfig({}).claudeBin,
    args: claudeArguments(start, paths, false),
    env: { ...claudeEnvironment(start, paths, remoteOf(paths, start, access)), ANTHROPIC_BASE_URL: stage.model.url },
    cwd: paths.worktree,
    key: REAL_MODEL_CREDENTIAL,
    access,
    sessionDir: paths.dir,
    onLine: (line) => {
      isDone ||= /"type":"result"/.test(line);
    },
    onStderr: () => {},
  });
  cli.prompt(randomUUID(), '[script: tools]');
  await eventually(() => isDone, 'the result of the CLI alone', LIMIT_MS);
  await cli.end(false);
  access.proxy.close();
  rmSync(paths.dir, { recursive: true, force: true });
  return gapsSince(since);
}

function gapsSince(since: number): number[] {
  const at = stage.model
    .requests()
    .filter((request) => request.method === 'POST' && request.at >= since && /^\/v1\/messages(\?|$)/.test(request.path))
    .map((request) => request.at);
  // The first tools make and read the file.
  return at
    .slice(1)
    .map((time, index) => time - (at[index] ?? time))
    .slice(2);
}

/** Sixty thousand files in six hundred folders, by git's own import: no file is written one by one. */
async function makeLargeRepository({ host }: Stage): Promise<void> {
  await host.ensureRepository(LARGE_REPOSITORY, {
    branch: 'main',
    commits: [
      { message: 'Begin', author: { name: 'Ada', email: 'ada@example.com' }, at: 1_500_000_000, files: { a: 'a\n' } },
    ],
  });
  const cwd = (await host.directory(LARGE_REPOSITORY)) ?? '';
  const settings = ['-c', 'core.compression=0', '-c', 'pack.compression=0', '-c', 'fastimport.unpackLimit=0'];
  const child = spawn('git', [...settings, 'fast-import', '--quiet', '--done', '--force'], {
    cwd,
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  const ended = new Promise<number | null>((done) => child.on('close', done));
  const put = async (text: string) => {
    if (!child.stdin.write(text)) await new Promise<void>((drained) => child.stdin.once('drain', () => drained()));
  };
  await put('commit refs/heads/main\ncommitter Ada <ada@example.com> 1500000000 +0000\ndata 5\nFiles\n');
  const filler = 'x'.repeat(Math.max(0, BYTES - 16));
  for (let at = 0; at < FILES; at += 1) {
    const text = `file ${at}\n${filler}\n`;
    await put(`M 100644 inline folder-${at % 600}/part-${at % 7}/file-${at}.txt\ndata ${text.length}\n${text}\n`);
  }
  await put('done\n');
  child.stdin.end();
  const code = await ended;
  if (code !== 0) throw new Error(`git fast-import ended with ${code}`);
}
