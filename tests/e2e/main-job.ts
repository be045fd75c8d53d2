/**
 * `npm run e2e`: the main job from end to end, with everything real that can be: workerd, Durable Objects, D1 and R2, the
 * Claude CLI, git over HTTP, a browser. Stand-ins only for Linear's servers, Claude's API and the git host.
 *
 * Prints each promise as it is kept; the last line is the flight record as JSON. Exits with 1 at the first promise that
 * is not kept, having said which, what was expected, what was seen, and where the logs are.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { burst } from './burst.ts';
import { firstActivity } from './first-activity.ts';
import { Run } from './run.ts';
import { scenario } from './scenario.ts';
import { endProcesses, keepEvidenceOnly, makeFolder, nothingRuns, setStage } from './stage.ts';
import { startProblems } from './start-problems.ts';
import { noCredentialIn } from './stopping.ts';

/** Every wait has a limit of its own; this one is for what nobody thought of. */
const LIMIT_MS = 10 * 60_000;

async function mainJob(run: Run, folder: string): Promise<object> {
  await startProblems(run, folder);
  const stage = await run.promise('Everything starts, as with `npm start`', () => setStage(folder));
  try {
    const flight = await scenario(run, stage);
    await stage.closeBrowser();
    const first = await firstActivity(run, stage);
    await run.promise('After all of this there is still no real credential in the sandbox or the logs', async () => {
      await noCredentialIn(stage);
    });
    await stage.close();
    const stormed = await burst(run, folder);
    await run.promise('Everything ends: no process is left', () => nothingRuns(folder));
    return { ...flight, ...first, burst: stormed };
  } catch (error) {
    await stage.picture('failed').catch(() => {});
    throw error;
  } finally {
    await stage.close();
  }
}

async function main(): Promise<void> {
  const folder = makeFolder();
  const pictures = join(folder, 'pictures');
  mkdirSync(pictures);
  const run = new Run();
  run.evidence.push({ name: 'logs', path: join(folder, 'logs') }, { name: 'pictures', path: pictures });
  const abandon = (why: string) => {
    console.log(`\n  Ended by ${why} during: ${run.current}`);
    endProcesses(folder);
    process.exit(1);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, abandon);
  setTimeout(() => abandon(`its limit of ${LIMIT_MS / 60_000} minutes`), LIMIT_MS).unref();
  console.log(`\n  The main job, from end to end. Pictures: ${pictures}\n`);
  const since = Date.now();
  const record = await mainJob(run, folder).then(
    (times) => ({ ...times, ok: true }),
    (error: unknown) => {
      run.explain(error);
      return { ok: false, failed: run.current };
    },
  );
  endProcesses(folder);
  if (record.ok) keepEvidenceOnly(run, folder);
  console.log(
    `\n  ${record.ok ? 'All promises kept' : 'A promise was not kept'}, in ${Math.round((Date.now() - since) / 1000)} s.\n`,
  );
  console.log(JSON.stringify(record));
  process.exit(record.ok ? 0 : 1);
}

await main();
