/**
 * `npm run test:container`: the main job as in main-job.ts, but with every sandbox a container that `wrangler dev` starts
 * from container/Dockerfile; and what such a container can reach, holds, and leaves behind.
 *
 * Needs a container engine: `docker`, or a container lab whose folder is in CYRUS_CONTAINER_LAB. Without one it is an error
 * (exit code 2); with `--if-possible` it is not: the last line then is `{"skipped": "<why>"}`.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { confined } from './confined.ts';
import { ContainerMachine, findEngine, NoEngine } from './container-machine.ts';
import { Run } from './run.ts';
import { scenario } from './scenario.ts';
import { endProcesses, keepEvidenceOnly, makeFolder, nothingRuns, setStage } from './stage.ts';

const LIMIT_MS = 20 * 60_000;

async function inContainer(run: Run, folder: string, machine: ContainerMachine): Promise<object> {
  const image = await run.promise('The image builds', () => machine.build());
  const stage = await run.promise('`wrangler dev` starts, with containers', () => setStage(folder, machine));
  try {
    const flight = await scenario(run, stage);
    const inside = await confined(run, stage, machine);
    await stage.close();
    await run.promise('Everything ends: no process is left', () => nothingRuns(folder));
    return { ...flight, ...inside, image };
  } catch (error) {
    await stage.picture('failed').catch(() => {});
    throw error;
  } finally {
    await stage.close();
  }
}

async function main(): Promise<void> {
  const ifPossible = process.argv.includes('--if-possible');
  const engine = await findEngine().catch((error: unknown) => {
    if (!(error instanceof NoEngine)) throw error;
    console.log(ifPossible ? JSON.stringify({ skipped: error.message }) : `\n  ${error.message}\n`);
    process.exit(ifPossible ? 0 : 2);
  });
  const machine = await ContainerMachine.over(engine);
  const folder = makeFolder();
  mkdirSync(join(folder, 'pictures'));
  const run = new Run();
  for (const name of ['logs', 'pictures']) run.evidence.push({ name, path: join(folder, name) });
  const abandon = async (why: string) => {
    console.log(`\n  Ended by ${why} during: ${run.current}`);
    endProcesses(folder);
    await machine.clear();
    process.exit(1);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, (name) => void abandon(name));
  setTimeout(() => void abandon(`its limit of ${LIMIT_MS / 60_000} minutes`), LIMIT_MS).unref();
  console.log(`\n  The main job, in containers. Logs: ${folder}\n`);
  const since = Date.now();
  const record = await inContainer(run, folder, machine).then(
    (times) => ({ ...times, ok: true }),
    (error: unknown) => {
      run.explain(error);
      return { ok: false, failed: run.current };
    },
  );
  endProcesses(folder);
  await machine.clear().catch((error: unknown) => {
    run.explain(error);
    Object.assign(record, { ok: false, failed: 'Everything ends: no container is left' });
  });
  if (record.ok) keepEvidenceOnly(run, folder);
  const seconds = Math.round((Date.now() - since) / 1000);
  console.log(`\n  ${record.ok ? 'All promises kept' : 'A promise was not kept'}, in ${seconds} s.\n`);
  console.log(JSON.stringify(record));
  process.exit(record.ok ? 0 : 1);
}

await main();
