/** A scenario on a stage of its own, as a command: `npm run e2e:workflows`, `npm run e2e:pages`. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Run } from './run.ts';
import { endProcesses, makeFolder, type Stage, setStage } from './stage.ts';

/**
 * Sets a stage, plays on it, and clears it away. A promise that is not kept is explained, and the process exits with 1.
 * @param title what is printed first
 * @param limitMs after which the run is abandoned
 * @param variables of the Worker that differ
 */
export async function playOnStage(
  title: string,
  limitMs: number,
  play: (run: Run, stage: Stage) => Promise<void>,
  variables: Record<string, string> = {},
): Promise<void> {
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
  setTimeout(() => abandon(`its limit of ${limitMs / 60_000} minutes`), limitMs).unref();
  console.log(`\n  ${title}. Pictures: ${pictures}\n`);
  const stage = await setStage(folder, undefined, variables);
  try {
    await play(run, stage);
  } catch (error) {
    await stage.picture('failed').catch(() => {});
    run.explain(error);
    process.exitCode = 1;
  } finally {
    await stage.close();
  }
  endProcesses(folder);
}
