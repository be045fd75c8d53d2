/**
 * `npm run e2e:people`: a second person works on the session's branch between and during Claude's turns (pushes, rebases,
 * updates, squash-merges and deletes, reverts), with the sandbox alive, asleep and lost. Real git, the real sandbox server and
 * the gateway's own function on pushes; only the CLI is played. No commit of theirs may ever be missing, and each of Claude's
 * is on the host or named as not. The last line is JSON; a promise that was not kept ends it with 1.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { logTo } from '../../container/log.ts';
import { startGitHost } from '../../dev/git/git-host.ts';
import { messageOf } from '../../src/lib/error.ts';
import { type HistoryFigures, playHistory } from './history.ts';

const { values } = parseArgs({
  options: {
    histories: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    concurrency: { type: 'string', default: '4' },
    /** Turns of each history. */
    turns: { type: 'string', default: '5' },
    /** For CI: few histories. */
    short: { type: 'boolean', default: false },
    /** Print what happened in each history. */
    story: { type: 'boolean', default: false },
  },
});
const count = values.short ? 12 : Number(values.histories);
const firstSeed = Number(values.seed);
const since = Date.now();
logTo(() => {});
console.log = ((print) => (text: unknown) => {
  // The gateway's own log.
  if (typeof text === 'string' && !text.startsWith('{"level"')) print(text);
})(console.log.bind(console));

const folder = await mkdtemp(join(tmpdir(), 'cyrus-people-'));
const password = 'git-password-of-the-story';
const host = await startGitHost({ root: join(folder, 'host'), username: 'cyrus', password });
const done: HistoryFigures[] = [];
const broken: { seed: number; problem: string }[] = [];
const seeds = Array.from({ length: count }, (_, index) => firstSeed + index);
await Promise.all(
  Array.from({ length: Number(values.concurrency) }, async () => {
    for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
      try {
        const figures = await playHistory(seed, { folder, host, password, turns: Number(values.turns) });
        done.push(figures);
        for (const violation of figures.violations) console.error(`seed ${seed}: ${violation}`);
        if (values.story || figures.violations.length > 0)
          console.error(figures.story.map((line) => `  ${line}`).join('\n'));
      } catch (error) {
        broken.push({ seed, problem: messageOf(error) });
        console.error(`seed ${seed}: ${error instanceof Error ? error.stack : String(error)}`);
      }
      if ((done.length + broken.length) % 20 === 0) console.error(`${done.length + broken.length} of ${count}`);
    }
  }),
);
await host.close();
await rm(folder, { recursive: true, force: true });

const sum = (of: (figures: HistoryFigures) => Partial<Record<string, number>>) => {
  const total: Record<string, number> = {};
  for (const figures of done)
    for (const [name, times] of Object.entries(of(figures))) total[name] = (total[name] ?? 0) + (times ?? 0);
  return total;
};
const violations = done.flatMap(({ seed, violations: found }) => found.map((what) => `seed ${seed}: ${what}`));
const ok = violations.length === 0 && broken.length === 0 && done.length === count;
const turns = done.reduce((total, figures) => total + figures.turns, 0);
const notPushed = done.reduce((total, figures) => total + figures.notPushed, 0);
const seconds = Math.round((Date.now() - since) / 1000);
const record = {
  ok,
  histories: done.length,
  turns,
  notPushed,
  deeds: sum((one) => one.deeds),
  sandboxes: sum((one) => one.moods),
  violations,
  broken,
  seconds,
};
process.stdout.write(`${JSON.stringify(record)}\n`);
process.exit(ok ? 0 : 1);
