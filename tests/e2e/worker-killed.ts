/** `kill -9` of the Worker's runtime in the middle of a turn: nothing may be missing afterwards, and nothing twice. */
import type { JournalEntry } from '../../src/protocol/journal.ts';
import { type CyrusSession, isNumberedWithoutGaps } from './cyrus-session.ts';
import { isSaidOnce, LinearThread } from './linear-thread.ts';
import { LivePage } from './live-page.ts';
import { holds, type Run, same, until } from './run.ts';
import { SandboxSession } from './sandbox-session.ts';
import { type ScriptedWork, workOf } from './script-steps.ts';
import type { Stage } from './stage.ts';
import { killWorker } from './worker-runtime.ts';

const STEPS = 12;
const PAUSE_MS = 250;
/** How often the runtime is killed in one turn. */
const KILLS = 2;

/** For the flight record. */
export interface Killed {
  /** When it was killed, in milliseconds from the webhook. */
  killsMs: number[];
  /** How long each time until the Worker answered again. */
  awayMs: number[];
  turnDoneMs: number;
  entries: number;
  activities: number;
}

export async function workerKilled(run: Run, stage: Stage): Promise<Killed> {
  const { stack } = stage;
  const issue = LinearThread.assign(stack.linear, 'Many steps', `[script: steps ${STEPS} ${PAUSE_MS}]`);
  const session = await issue.livePage();
  const live = await LivePage.open(stage.browser, stage.console, session.pageUrl);
  const { at } = await issue.webhook('created');
  const killsMs: number[] = [];
  const awayMs: number[] = [];

  await run.promise(`The turn finishes although the Worker is killed ${KILLS} times in its middle`, async () => {
    await until('the first tool call', async () => (await session.entries('tool-call')).length > 0);
    await stage.console.whileNetworkIsDown(async () => {
      for (let kill = 0; kill < KILLS; kill++) {
        await pause(100 + Math.random() * 1_200);
        const { phase } = (await session.read()).session;
        same('The session when the Worker is killed', phase, 'working');
        const since = Date.now();
        killsMs.push(since - at);
        await killWorker(stack);
        awayMs.push(Date.now() - since);
      }
      const ended = await session.turnEnded(1, 90_000);
      same('The outcome', ended.outcome, 'completed');
      await live.turnEnded(1);
      await issue.closing();
      await until('the page to be live again', async () => (await live.connection()) === 'Live');
    });
  });

  const { cwd } = (await session.entries('claude-started'))[0] ?? { cwd: '' };
  const work = workOf('steps', [STEPS, PAUSE_MS], cwd);
  const { entries } = await session.read();
  await run.promise('The journal has every step once, numbered without gaps', async () => {
    isNumberedWithoutGaps(entries);
    hasEveryStepOnce(entries, work);
    const sandbox = new SandboxSession(stage.machine, session.id);
    same('Files of the steps', (await sandbox.steps()).length, STEPS);
  });

  await run.promise('The page that was open all the time shows every step once, as one opened afterwards', async () => {
    await showsEveryStepOnce(live, work, cwd);
    const before = await live.timeline();
    await stage.picture('4-killed');
    const fresh = await LivePage.open(stage.browser, stage.console, session.pageUrl);
    await fresh.turnEnded(1);
    same('The timeline', before, await fresh.timeline());
    await fresh.page.close();
    await live.page.close();
  });

  await run.promise('Linear has every step once, and one response', async () => {
    await toldEveryStepOnce(issue, session, work);
  });

  const [ended] = entries.filter((entry) => entry.kind === 'turn-ended');
  return {
    killsMs,
    awayMs,
    turnDoneMs: (ended?.at ?? 0) - at,
    entries: entries.length,
    activities: issue.activities.length,
  };
}

function hasEveryStepOnce(entries: readonly JournalEntry[], work: ScriptedWork): void {
  const calls = entries.filter((entry) => entry.kind === 'tool-call');
  same(
    'Tool calls in the journal',
    calls.map(({ name, input }) => ({ name, input })),
    work.calls,
  );
  const results = entries.filter((entry) => entry.kind === 'tool-result');
  same(
    'Tool results in the journal, one for each call',
    results.map((result) => result.toolUseId),
    calls.map((call) => call.toolUseId),
  );
  const texts = entries.filter((entry) => entry.kind === 'text').map((entry) => entry.text);
  same('Texts in the journal', texts, [...work.texts, work.answer]);
  const kinds = ['prompt', 'turn-started', 'claude-started', 'result', 'saved', 'turn-ended'] as const;
  const counts = kinds.map((kind) => [kind, entries.filter((entry) => entry.kind === kind).length]);
  same(
    'What there is one of in a turn',
    counts,
    kinds.map((kind) => [kind, 1]),
  );
}

async function showsEveryStepOnce(live: LivePage, work: ScriptedWork, cwd: string): Promise<void> {
  const expected = work.calls.map(({ name, input }) =>
    name === 'Bash' ? `Bash ${input.command}` : `${name} ${String(input.file_path).replace(`${cwd}/`, '')}`,
  );
  same('Tool calls on the page', await live.toolCalls(), expected);
  const texts = (await live.texts()).map((text) => text.replaceAll('`', ''));
  same(
    'Texts on the page',
    texts,
    [...work.texts, work.answer].map((text) => text.replaceAll('`', '')),
  );
}

async function toldEveryStepOnce(issue: LinearThread, session: CyrusSession, work: ScriptedWork): Promise<void> {
  isSaidOnce(issue.activities);
  const steps = work.texts.flatMap((text, index) => [
    `thought ${text}`,
    `action Ran echo "step ${index + 1}"`,
    `action Created steps/step-${index + 1}.txt`,
  ]);
  const shown = issue.shown;
  const ours = shown.slice(1, -1).filter((line) => /^(thought Step|action) /.test(line));
  same('Steps in the thread', ours, steps);
  const closings = issue.shown.filter((line) => /^(response|error) /.test(line));
  same('Closing activities', closings.length, 1);
  const closing = closings[0] ?? '';
  holds('The response', closing.startsWith(`response ${work.answer}`), work.answer, closing);
  same('Failed effects', (await session.read()).session.failedEffects, 0);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
