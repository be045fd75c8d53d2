/** What code in a container can reach, and what becomes of the container when it is told to end. */
import { z } from 'zod';
import { egressPageSchema } from '../../src/protocol/egress-log.ts';
import type { ContainerMachine, Ended } from './container-machine.ts';
import { LinearThread } from './linear-thread.ts';
import { holds, type Run, same, until, within } from './run.ts';
import type { Stage } from './stage.ts';
import { noCredentialIn } from './stopping.ts';

const healthSchema = z.object({ version: z.string(), claude: z.string(), digest: z.string(), atWork: z.number() });

/** Addresses that nobody allowed, by name and by number. */
const ELSEWHERE = ['http://example.com/a?b=c', 'http://93.184.215.14/', 'http://169.254.169.254/latest/meta-data/'];
/** The same by HTTPS, and ports that carry no HTTP. */
const ENCRYPTED = ['https://example.com/', 'https://93.184.215.14/'];
const OTHER_PORTS = ['1.1.1.1:53', '1.1.1.1:22', '93.184.215.14:8080'];
/** A server without work ends at once; with work it saves first. */
const END_LIMIT_MS = 15_000;

/** For the flight record. */
export interface Confined {
  digest: string;
  endedMs: number;
  /** What only the platform closes, and was found open with this container engine; empty where all is closed. */
  openInLab: string[];
}

/** Tries all of it from inside of a session's container. */
export async function confined(run: Run, stage: Stage, machine: ContainerMachine): Promise<Confined> {
  const { stack } = stage;
  const issue = LinearThread.assign(stack.linear, 'Stay inside', '[script: steps 1 10]');
  const session = await issue.livePage();
  await session.turnEnded(1, 90_000);
  await issue.closing();
  const container = await machine.containerOf(session.id);
  if (container === null) throw new Error('no container holds the session');
  const inside = (...command: string[]) => machine.execute(container, command);

  const health = await run.promise('The server says which version, CLI and image it is, and is not root', async () => {
    const { output } = await inside('curl', '-s', 'http://127.0.0.1:8080/health');
    const health = healthSchema.parse(JSON.parse(output));
    holds('The digest of the image', /^sha256:[0-9a-f]{64}$/.test(health.digest), 'sha256:…', health.digest);
    same('The user', (await inside('id', '-un')).output.trim(), 'node');
    return health;
  });

  await run.promise('Claude’s user can read neither the memory nor the environment of the server', async () => {
    const servers = (await inside('pgrep', '-f', 'container/server.ts')).output.trim().split('\n');
    holds('Processes of the server', servers.length >= 1 && servers[0] !== '', 'at least one', servers);
    for (const pid of [...servers, '1']) {
      for (const file of ['mem', 'environ', 'maps', 'fd/1']) {
        const { code, output } = await inside('head', '-c', '1', `/proc/${pid}/${file}`);
        holds(`/proc/${pid}/${file}`, code !== 0 && output.includes('Permission denied'), 'denied', output);
      }
    }
  });

  await run.promise('From inside, example.com is unreachable by name and by address', async () => {
    for (const address of ELSEWHERE) {
      same(`What ${address} answers`, await statusOf(inside, address), '403');
    }
  });

  const openInLab = await run.promise('Nor by HTTPS, nor on another port', async () => {
    const open: string[] = [];
    for (const address of ENCRYPTED) {
      if (!['', '403'].includes(await statusOf(inside, address))) open.push(address);
    }
    for (const address of OTHER_PORTS) if (await connects(inside, address)) open.push(address);
    if (open.length > 0) {
      // The lab's sidecar filters port 80 and names; that it was told to close the rest is all that can be shown there.
      same('Reached from inside', process.env.CYRUS_CONTAINER_LAB ? [] : open, []);
      const { output } = await machine.docker(['logs', `${container}-proxy`]);
      const told = '"internet":{"enabled":false}';
      holds('The engine is told to close the Internet', output.includes(told), told, output);
      console.log(`             (left open by this lab, closed by the platform: ${open.join(', ')})`);
    }
    return open;
  });

  await run.promise('Claude is told why, in words it can act on, and the page shows the attempts', async () => {
    const { output } = await inside('curl', '-s', '-i', 'http://example.com/a?b=c');
    for (const words of ['403', 'x-cyrus-egress: blocked-host', 'example.com', 'registries', 'settings.egress.hosts']) {
      holds(`The answer says ${words}`, output.includes(words), words, output);
    }
    const lines = await until('the attempt in the egress log', async () => {
      const response = await fetch(`${stack.url}/api/sessions/${session.id}/egress`);
      const { lines } = egressPageSchema.parse(await response.json());
      return lines.some((line) => line.host === 'example.com') ? lines : null;
    });
    const [line] = lines.filter(({ host }) => host === 'example.com');
    same('The line', [line?.method, line?.path, line?.verdict, line?.status], ['GET', '/a', 'blocked', 403]);
  });

  await run.promise('No real credential is in any file, process or configuration of any container', async () => {
    await noCredentialIn(stage);
  });

  const endedMs = await run.promise('SIGTERM, as in a rollout, reaches the server, which ends by itself', async () => {
    const since = Date.now();
    const { code, output } = await machine.docker(['kill', '--signal', 'TERM', container]);
    same('The signal is sent', [code, code === 0 ? '' : output], [0, '']);
    await until('the end of the container', async () => !(await machine.running()).includes(container), {
      limitMs: END_LIMIT_MS,
      everyMs: 100,
    });
    within('From the signal to the end', Date.now() - since, END_LIMIT_MS);
    return Date.now() - since;
  });

  await run.promise('A comment then begins a new container, and the work goes on from the branch', async () => {
    stack.linear.comment(issue.issue, 'Once more, please. [script: steps 1 10]');
    const ended = await session.turnEnded(2, 120_000);
    same('The outcome', ended.outcome, 'completed');
    const next = await machine.containerOf(session.id);
    holds('Another container', next !== null && next !== container, 'another container', next);
  });
  return { digest: health.digest, endedMs, openInLab };
}

type Inside = (...command: string[]) => Promise<Ended>;

/** The status that an address answers; empty if there is no answer. */
async function statusOf(inside: Inside, address: string): Promise<string> {
  const { code, output } = await inside('curl', '-sk', '-m', '5', '-o', '/dev/null', '-w', '%{http_code}', address);
  return code === 0 ? output : '';
}

async function connects(inside: Inside, address: string): Promise<boolean> {
  const [host, port] = address.split(':');
  const script = `
    const socket = require('node:net').connect(${port}, '${host}');
    socket.setTimeout(3000, () => process.exit(1));
    socket.on('error', () => process.exit(1));
    socket.on('connect', () => process.exit(0));`;
  return (await inside('node', '-e', script)).code === 0;
}
