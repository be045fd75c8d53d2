/** The process that runs the Worker's code in a local stack, and its violent end. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Stack } from '../../dev/stack.ts';
import { until } from './run.ts';

/** Kills the process that runs the Worker's code and its Durable Objects, and waits until another answers. */
export async function killWorker(stack: Stack): Promise<void> {
  const killed = workerRuntime(stack);
  process.kill(killed, 'SIGKILL');
  await until(
    'wrangler to start the Worker again',
    async () => {
      const health = await fetch(`${stack.url}/health`, { signal: AbortSignal.timeout(1_000) }).catch(() => null);
      return health?.ok;
    },
    { limitMs: 20_000 },
  );
}

/**
 * wrangler runs two workerd processes: one listens on the port and passes requests on, the other, which it starts again
 * when it dies, runs the Worker.
 * @returns its process id
 */
export function workerRuntime(stack: Stack): number {
  const port = new URL(stack.url).port;
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => look(Number(name)));
  const ours = new Set([stack.worker.child.process.pid]);
  for (let size = 0; size < ours.size; ) {
    size = ours.size;
    for (const { pid, parent } of all) if (ours.has(parent)) ours.add(pid);
  }
  const runtimes = all.filter(({ pid, command }) => ours.has(pid) && /\bworkerd serve\b/.test(command));
  const [worker, ...more] = runtimes.filter(({ command }) => !command.includes(`:${port} `));
  if (!worker || more.length > 0) throw new Error(`cannot tell the Worker's runtime: ${JSON.stringify(runtimes)}`);
  return worker.pid;
}

function look(pid: number): { pid: number; parent: number; command: string }[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    return [{ pid, parent: Number(parent), command }];
  } catch {
    return [];
  }
}
