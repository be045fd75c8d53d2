/**
 * `npm run test:walls`: the real server with two sessions of different workspaces. One of them is hostile: what is tried, and what came of
 * it, is printed; the last line is one JSON object, and the exit code is 1 where an attack succeeded, 2 where this machine has no walls.
 *
 *     npm run test:walls -- [users | namespaces]     left out: what the server finds by itself; namespaces: as a plain user
 */
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { sessionPaths } from '../../container/paths.ts';
import { sessionProcesses } from '../../container/process/process-group.ts';
import { SessionWall } from '../../container/walls/session-wall.ts';
import { findWalls } from '../../container/walls/walls.ts';
import { startScriptedModel } from '../../dev/claude/scripted-model.ts';
import { startGitHost } from '../../dev/git/git-host.ts';
import { sampleRepository } from '../../dev/git/sample-repository.ts';
import { startGatewayStandIn } from '../container/gateway-stand-in.ts';
import { eventually, run, runServer, SERVER_SECRET } from '../container/stage.ts';
import {
  type Attack,
  DIRECT,
  LARGE_FILES,
  LAST_TRAPS,
  saying,
  TOGETHER,
  TOOLS,
  TRAPS,
  wasCarriedOut,
} from './attacks.ts';

interface Result {
  name: string;
  held: boolean;
  /** What the attacker got to see; the start of it. */
  said: string;
}

const setting = z.enum(['auto', 'users', 'namespaces']).parse(process.argv[2] ?? 'auto');
const PROCESS_LIMIT = 400;
const PROCESS_MIB = 4_096;
const SESSION_MIB = 2_048;
const folder = mkdtempSync(join(tmpdir(), 'cyrus-walls-'));
chmodSync(folder, 0o711);
const hidden = join(folder, 'run');
const root = join(hidden, 'sandbox');
mkdirSync(hidden);
chmodSync(hidden, 0o711);
writeFileSync(join(hidden, 'secrets.json'), '{"secret":"HIDDEN-SECRET"}', { mode: 0o600 });
/** In seconds since the epoch: files of earlier sessions that had the same user are not of these. */
const begunAt = Math.floor(Date.now() / 1000);
const closers: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
const results: Result[] = [];

function tell(name: string, held: boolean, said: string): void {
  results.push({ name, held, said: said.slice(0, 300) });
  console.log(
    `  ${held ? 'held   ' : 'FAILED '} ${name}${held ? '' : `\n          ${said.slice(0, 600).replaceAll('\n', '\n          ')}`}`,
  );
}

interface Player {
  id: string;
  gateway: Awaited<ReturnType<typeof startGatewayStandIn>>;
  dir: string;
}

try {
  const host = await startGitHost({ root: join(folder, 'host'), username: 'cyrus', password: 'password-of-the-host' });
  closers.unshift(() => host.close());
  const value = 'Bearer credential-of-the-model';
  const model = await startScriptedModel({ expectedCredential: { header: 'authorization', value } });
  closers.unshift(() => model.close());
  const server = await runServer(root, {
    CYRUS_WALLS: setting,
    CYRUS_HIDDEN: hidden,
    CYRUS_SESSION_PROCESSES: String(PROCESS_LIMIT),
    CYRUS_PROCESS_MIB: String(PROCESS_MIB),
    CYRUS_SESSION_MIB: String(SESSION_MIB),
    HOME: homedir(),
  });
  closers.unshift(() => server.child.kill('SIGKILL'));
  const health = z.object({ walls: z.string() }).parse(await (await fetch(`${server.url}/health`)).json());
  const hasView = /"hasView":true/.test(server.log());
  console.log(`\n  Walls: ${health.walls}${hasView ? ', each session with a view of its own' : ''}\n`);
  if (health.walls === 'none') {
    console.log(server.log());
    console.log(JSON.stringify({ ok: false, walls: 'none', why: 'this machine cannot keep sessions apart' }));
    process.exitCode = 2;
  } else await attackAll(server, health.walls, hasView);

  async function ask(path: string, method: string, body?: unknown): Promise<Response> {
    const answer = await fetch(`${server.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${SERVER_SECRET}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer;
  }

  async function begin(id: string): Promise<Player> {
    const fullName = `acme/${id}`;
    await host.ensureRepository(fullName, await sampleRepository());
    const gateway = await startGatewayStandIn(`token-of-${id}-${randomBytes(12).toString('hex')}`, {
      model: { url: model.url, header: 'authorization', value },
      git: { url: host.url, username: 'cyrus', password: 'password-of-the-host' },
    });
    closers.unshift(() => gateway.close());
    await ask(`/sessions/${id}`, 'PUT', {
      generation: 1,
      gateway: { url: gateway.url, token: gateway.token },
      repository: { fullName, baseBranch: 'main', branch: `cyrus/${id}` },
      claude: {
        credential: 'subscription',
        model: 'sonnet',
        conversationId: crypto.randomUUID(),
        systemPrompt: 'You are Cyrus.',
        answerSeconds: 300,
        stallSeconds: 120,
      },
      waitsForHelpers: true,
      author: { name: 'Cyrus', email: 'cyrus@cyrus.test' },
      setupTimeoutSeconds: 60,
    });
    return { id, gateway, dir: sessionPaths(root, id).dir };
  }

  async function turn({ id, gateway }: Player, nth: number, command: string): Promise<void> {
    await ask(`/sessions/${id}/commands`, 'POST', {
      type: 'prompt',
      id: crypto.randomUUID(),
      turn: nth,
      text: run(command),
    });
    await eventually(
      () => gateway.events.filter(({ type }) => type === 'saved').length >= nth,
      `the save of ${id}`,
      120_000,
      () => gateway.events.map((event) => JSON.stringify(event).slice(0, 300)).join('\n'),
    );
  }

  async function attackAll(running: typeof server, kind: string, view: boolean): Promise<void> {
    const [victim, attacker] = [await begin('victim'), await begin('attacker')];
    const traces =
      'echo VICTIM-SECRET > secret.txt; echo VICTIM-SECRET > "$CYRUS_SHARE/note.txt"; echo x > /tmp/victim-tmp; echo x > /dev/shm/victim-shm; ' +
      'echo x > /var/tmp/victim-tmp; ipcmk -M 64 2>/dev/null; (sleep 600 & ) ; true';
    await turn(victim, 1, traces);
    await turn(attacker, 1, 'echo begun > begun.txt');
    const victimPid = sessionProcesses(victim.dir)[0] ?? 1;
    const uidOf = (dir: string) =>
      kind === 'users' ? Number(execFileSync('stat', ['-c', '%u', join(dir, 'home')])) : null;
    const options = {
      setting,
      root,
      claudeBin: process.execPath,
      hidden: [hidden],
      limits: {
        processes: PROCESS_LIMIT,
        memoryBytes: PROCESS_MIB * 1024 ** 2,
        sessionBytes: SESSION_MIB * 1024 ** 2,
      },
    };
    const wall = new SessionWall(findWalls(options), attacker.dir, uidOf(attacker.dir));
    // As Claude's commands have it: the environment of the attacker's own CLI.
    const own = environmentOf(attacker.dir);
    const env: Record<string, string> = {
      ...own,
      // Programs of a user's home (pyenv and the like) are not in the view.
      PATH: `/usr/bin:/bin:/usr/sbin:/sbin:${own.PATH ?? ''}`,
      ROOT: root,
      SESSIONS: join(root, 'sessions'),
      OWN: attacker.dir,
      VICTIM: victim.dir,
      VICTIM_PID: String(victimPid),
      SERVER: running.url,
      SERVER_PID: String(running.child.pid),
      SERVER_HOME: homedir(),
      HIDDEN: hidden,
      OWN_WAY: wayOf(own),
      VICTIM_WAY: wayOf(environmentOf(victim.dir)),
      TOKEN_A_START: 'token-of-',
      TOO_MUCH: String((PROCESS_MIB + 1_024) * 1024 ** 2),
    };
    const secrets = [victim.gateway.token, attacker.gateway.token, SERVER_SECRET, 'VICTIM-SECRET', 'HIDDEN-SECRET'];
    const inside = (script: string) => commandOutput(wall, script, env, join(attacker.dir, 'worktree'));
    const missing = await inside(`for t in ${TOOLS.join(' ')}; do $t --version >/dev/null 2>&1 || echo $t; done`);
    tell('(the attacker has the programs that it attacks with)', missing.trim() === '', missing);
    const isBounded = / of memory and \d+ processes a session/.test(running.log());
    if (!isBounded)
      console.log('  (no control groups here: the memory of a session as a whole is not bounded, as the server says)');
    for (const attack of isBounded ? [...DIRECT, ...TOGETHER] : DIRECT) {
      // Without a view, what other users' processes are called can be seen; what they hold cannot.
      if (!view && attack.needsView) continue;
      const said = await inside(saying(attack.script));
      const wasTried = wasCarriedOut(attack.script, said);
      tell(attack.name, wasTried && !hasWon(attack, said, secrets), `${wasTried ? '' : 'not carried out: '}${said}`);
    }
    const started = sessionProcesses(victim.dir).includes(victimPid) && running.child.exitCode === null;
    tell('(the other’s processes and the server are still there)', started, 'something was ended');

    for (const [index, attack] of [...TRAPS, ...LAST_TRAPS].entries()) {
      await inside(attack.script);
      await turn(attacker, index + 2, 'echo turn >> turns.txt').catch((error: unknown) =>
        console.log(`          ${String(error).slice(0, 200)}`),
      );
      tell(`${attack.name} (the server saves)`, got(attacker, secrets) === null, got(attacker, secrets) ?? '');
    }
    const ran = readdirSync(join(attacker.dir, 'share')).filter(
      (name) => name === `ran-as-${process.getuid?.() ?? 0}.txt`,
    );
    const taken = await mostMemoryTaken(async () => {
      await inside(LARGE_FILES.script);
      await turn(attacker, TRAPS.length + LAST_TRAPS.length + 2, 'echo turn >> turns.txt').catch(() => {});
    });
    tell(`${LARGE_FILES.name} (the server saves)`, taken < PROCESS_MIB + 1_024, `${taken} MiB of the machine's memory`);
    if (kind === 'users') tell('nothing of the repository ran as the server', ran.length === 0, ran.join());
    const touched = execFileSync('find', [victim.dir, '-name', 'planted*'], { encoding: 'utf8' });
    tell('nothing was written into the other’s folder', touched === '', touched);
    const branches = (await host.branches('acme/victim')).map(({ name }) => name).sort();
    tell('the other’s branches are its own', branches.join() === 'cyrus/victim,main', branches.join());
    for (const { id, dir, gateway } of [victim, attacker]) {
      const holders = execFileSync('sh', ['-c', `grep -rlF "${gateway.token}" "${dir}" "${root}" || true`], {
        encoding: 'utf8',
      });
      tell(`no file holds the token of ${id}`, holders === '', holders);
    }
    await ask('/sessions/victim', 'GET');
    const startMs = startCost(wall, attacker.dir);
    await leaveNothing(attacker, uidOf(attacker.dir), wall, env);
    const held = results.every((result) => result.held);
    console.log(
      JSON.stringify({
        ok: held,
        walls: kind,
        hasView: view,
        tried: results.length,
        failed: results.filter((one) => !one.held).map(({ name }) => name),
        startMs,
      }),
    );
    if (!held) process.exitCode = 1;
  }
  /** What a session has left running, or lying about, is gone with it. */
  async function leaveNothing(
    { id, dir }: Player,
    uid: number | null,
    wall: SessionWall,
    env: Record<string, string>,
  ): Promise<void> {
    const mark = '98765.4321';
    const script = `(setsid -f env -i sleep ${mark}); (CYRUS_SERVER=$SERVER_PID setsid -f sleep ${mark}); (nohup sleep ${mark} >/dev/null 2>&1 &); echo left > /tmp/left; echo left > /dev/shm/left; ipcmk -M 64; echo DONE`;
    tell(
      '(what a session leaves could be begun)',
      (await commandOutput(wall, script, env, join(dir, 'worktree'))).includes('DONE'),
      '',
    );
    await ask(`/sessions/${id}?purge=true`, 'DELETE');
    const look = (...command: [string, ...string[]]) =>
      execFileSync(command[0], command.slice(1), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    await eventually(() => sessionProcesses(dir).length === 0, 'the end of its processes', 20_000);
    const running = look('sh', '-c', `pgrep -af "sleep ${mark}" | grep -v pgrep || true`);
    tell('a session that has ended leaves no process, whatever that did to stay', running === '', running);
    const owned =
      uid === null
        ? ''
        : look(
            'sh',
            '-c',
            `find /tmp /var/tmp /dev/shm -uid ${uid} -newerct @${begunAt} -not -path '*/cyrus-walls-*' 2>/dev/null | head -5; find "${root}" -uid ${uid} | head -5; ps -o args= -u ${uid} || true`,
          );
    const met = look('sh', '-c', 'ls /tmp/left /dev/shm/left 2>/dev/null || true');
    tell('a session that has ended leaves no file', owned + met === '', owned + met);
  }
} finally {
  for (const close of closers) await close();
}

/** How much less memory the machine had meanwhile than before, in MiB. */
async function mostMemoryTaken(task: () => Promise<void>): Promise<number> {
  const available = () => Number(/MemAvailable:\s+(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]) / 1_024;
  const before = available();
  let least = before;
  const timer = setInterval(() => {
    least = Math.min(least, available());
  }, 20);
  await task().finally(() => clearInterval(timer));
  return Math.round(before - least);
}

function hasWon({ won }: Attack, said: string, secrets: string[]): boolean {
  return won?.test(said) === true || secrets.some((secret) => said.includes(secret));
}

/** Secrets of others among all that the server told or stored for the attacker. */
function got({ gateway }: Player, secrets: string[]): string | null {
  const shared = gateway.shared.map(({ content }) => content.toString('latin1'));
  const all = [
    // What Claude was told to say is its own.
    ...gateway.events.filter(({ type }) => type !== 'line').map((event) => JSON.stringify(event)),
    ...shared,
    ...gateway.patches.values(),
    ...[...gateway.checkpointObjects.values()].map((content) => content.toString('latin1')),
  ].join('\n');
  const found = secrets.filter((secret) => all.includes(secret));
  const system = /root:[*!$][^:]*:\d+:/.exec(all)?.[0];
  return found.length > 0 ? `found ${found.length} secrets` : (system ?? null);
}

function environmentOf(dir: string): Record<string, string> {
  for (const pid of sessionProcesses(dir)) {
    const entries = entriesOf(pid);
    if (!entries.some((entry) => entry.startsWith('ANTHROPIC_BASE_URL='))) continue;
    return Object.fromEntries(
      entries
        .filter((entry) => entry.includes('='))
        .map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]),
    );
  }
  throw new Error(`no process of ${dir} has an environment`);
}

function wayOf(environment: Record<string, string>): string {
  return (environment.ANTHROPIC_BASE_URL ?? '').replace(/\/anthropic$/, '');
}

function commandOutput(wall: SessionWall, script: string, env: Record<string, string>, cwd: string): Promise<string> {
  const { program, args } = wall.command('bash', ['-c', script]);
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    const read = (chunk: Buffer) => {
      said = (said + chunk.toString('latin1')).slice(0, 100_000);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', (chunk: Buffer) => {
      if (/bwrap:|setpriv:|prlimit:/.test(String(chunk))) read(chunk);
    });
    const timer = setTimeout(() => child.pid !== undefined && process.kill(-child.pid, 'SIGKILL'), 60_000);
    child.on('close', () => {
      clearTimeout(timer);
      if (/bwrap:|setpriv:|prlimit:/.test(said))
        throw new Error(`the attack itself could not be run: ${said.slice(0, 300)}`);
      resolve(said);
    });
  });
}

/** Milliseconds by which the wall delays the start of a program: the median of several. */
function startCost(wall: SessionWall, dir: string): number {
  const once = (program: string, args: string[]) => {
    const since = performance.now();
    execFileSync(program, args, { cwd: join(dir, 'worktree') });
    return performance.now() - since;
  };
  const median = (times: number[]) => times.sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0;
  const { program, args } = wall.command('true', []);
  const [walled, plain] = [0, 1].map((kind) =>
    median(Array.from({ length: 15 }, () => (kind === 0 ? once(program, args) : once('true', [])))),
  );
  return Math.round(((walled ?? 0) - (plain ?? 0)) * 10) / 10;
}

/** The environment of a process as it was begun; empty if it has ended. */
function entriesOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
