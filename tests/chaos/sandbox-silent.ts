/**
 * Sandbox servers that fall silent in the middle of a turn and tell nobody: frozen (SIGSTOP: connections are taken, nothing is
 * answered), or dead (SIGKILL, and not started again). Each has to be noticed within 10 s, and the turn goes on once it is back.
 */
import type { Stack } from '../../dev/stack.ts';
import type { JournalEntry } from '../../src/protocol/journal.ts';
import { LinearThread } from '../e2e/linear-thread.ts';
import { until } from '../e2e/run.ts';
import type { Random } from '../unit/support/random.ts';
import type { Machines } from './sandbox-machines.ts';

/** From the moment at which the server falls silent until the page says so. */
const NOTICED_LIMIT_MS = 10_000;
/** Far more than a frozen or dead server takes to be noticed and restored. */
const LIMIT_MS = 3 * 60_000;
const NOTICED = 'The sandbox has stopped answering. Checking on it.';

/** What one server did: how it fell silent, and the ms until that was noticed. */
export interface Silence {
  how: 'frozen' | 'dead';
  noticedMs: number;
}

/**
 * Plays one task whose server falls silent at a random moment.
 * @returns what became of it
 * @throws Unkept if nobody noticed, or the turn did not go on
 */
export async function playSilent(
  stack: Stack,
  machines: Machines,
  random: Random,
  how: Silence['how'],
): Promise<Silence> {
  const description = '[script: chaos 3 700 /dev/null]';
  const session = await LinearThread.assign(stack.linear, `A server that is ${how}`, description).livePage();
  const entry = (what: string, isIt: (one: JournalEntry) => boolean) =>
    until(what, async () => (await session.read()).entries.find(isIt), { limitMs: LIMIT_MS, everyMs: 100 });
  await entry('a finished call', ({ kind }) => kind === 'tool-result');
  await new Promise((resolve) => setTimeout(resolve, random.next() * 3_000));
  const at = Date.now();
  await (how === 'frozen' ? machines.freeze(session.id) : machines.halt(session.id));
  const noticed = await entry('somebody to notice', (one) => one.kind === 'notice' && one.text === NOTICED);
  await (how === 'frozen' ? machines.thaw(session.id) : machines.kill(session.id, false));
  const ended = await session.turnEnded(1, LIMIT_MS);
  if (ended.reason !== 'completed') throw new Error(`${session.pageUrl}: the turn ended as ${ended.reason}`);
  await machines.end(session.id);
  return { how, noticedMs: noticed.at - at };
}

/** What is wrong with these silences, in words. */
export function tooLate(silences: readonly Silence[]): string[] {
  return silences
    .filter(({ noticedMs }) => noticedMs > NOTICED_LIMIT_MS)
    .map(
      ({ how, noticedMs }) =>
        `a server that was ${how} was noticed after ${noticedMs} ms, allowed are ${NOTICED_LIMIT_MS}`,
    );
}
