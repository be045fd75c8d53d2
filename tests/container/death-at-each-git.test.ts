/**
 * A git dies alone, or the server ends without a word at one of its calls of git, before or after git did what it was to do. That may
 * be any call from the first checkout, through a turn, to one that begins with what a person pushed. Whatever Claude left in the worktree
 * by then is on the branch in the end, and so are the base's files and the person's.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { withFakeGit } from './fake-git.ts';
import { eventually, run, type Stage, setStage } from './stage.ts';

// Whole turns of Claude's, on a machine that may be busy.
vi.setConfig({ testTimeout: 300_000 });

const BRANCH = 'cyrus/shop-1';
/** Calls of git at which something dies: a few of some 450 in each run of the tests, others where `CYRUS_GIT_CALLS` lists them. */
const CALLS = (process.env.CYRUS_GIT_CALLS ?? '9,31,150').split(',').map(Number);

/** Without the git that dies. */
const realPath = process.env.PATH;
let stage: Stage;
afterEach(() => stage?.close());

const DEATHS = ['git', 'the server before git has run', 'the server after git has run'] as const;
type Death = (typeof DEATHS)[number];

/** Counts calls; at the given one it is killed, or hangs in place of git or after it. */
function dyingAt(call: number, death: Death) {
  return (folder: string) => `
printf . >> '${folder}/calls'
if [ "$(wc -c < '${folder}/calls')" -eq ${call} ]; then
  echo "$*" > '${folder}/words'
  ${death === 'git' ? 'kill -9 $$' : ':'}
  ${death === 'the server after git has run' ? `"$CYRUS_REAL_GIT" "$@"` : ':'}
  touch '${folder}/hung'
  exec sleep 1000
fi`;
}

async function pushedByPerson(): Promise<boolean> {
  const bare = (await stage.host.directory('acme/shop')) ?? '';
  const script = `git clone -q -b ${BRANCH} "$1" "$2" 2>/dev/null || exit 3
    cd "$2"; echo person > person; git add person; git -c user.name=P -c user.email=p@example.com commit -qm Person; git push -q origin HEAD`;
  try {
    const clone = join(stage.root, '..', `person-${Date.now()}`);
    execFileSync('bash', ['-euc', script, 'bash', bare, clone], { env: { ...process.env, PATH: realPath } });
    return true;
  } catch {
    return false;
  }
}

test.each(CALLS.flatMap((call) => DEATHS.map((death) => [death, call] as const)))(
  'nothing is lost or removed when %s dies at git call %i',
  async (death, call) => {
    stage = await setStage({ config: { shutdownMs: 300 } });
    const worktree = stage.worktree('shop-1');
    process.env.CYRUS_REAL_GIT = execFileSync('which', ['git'], { encoding: 'utf8' }).trim();
    await withFakeGit(dyingAt(call, death), async (folder) => {
      let isDead = false;
      const kept = new Set<string>();
      /** Goes on until the step is done or the server is to end; then another begins, as the issue session would have it. */
      const step = async (act: () => Promise<unknown>, isDone: () => boolean | Promise<boolean>) => {
        await act();
        await eventually(
          async () => (!isDead && existsSync(join(folder, 'hung'))) || (await isDone()),
          'a step',
          120_000,
        );
        if (isDead || !existsSync(join(folder, 'hung'))) return;
        isDead = true;
        for (const name of existsSync(join(worktree, '.git')) ? readdirSync(worktree) : []) {
          if (!name.startsWith('.git')) kept.add(name);
        }
        await stage.die();
        await stage.start('shop-1');
        await eventually(
          async () => (await stage.status('shop-1')).state === 'ready',
          'the session to be ready',
          120_000,
        );
      };
      const saved = (turn: number) => stage.eventsOf('saved').some((event) => event.turn === turn);
      const isReady = async () => (await stage.status('shop-1')).state === 'ready';
      const work = (turn: number, ...commands: string[]) =>
        step(
          () => stage.prompt('shop-1', run(...commands), turn),
          () => saved(turn),
        );
      await step(() => stage.start('shop-1'), isReady);
      await work(1, 'echo one > one; git add one; git commit -qm One', 'echo two > two');
      const byPerson = await pushedByPerson();
      await work(2, 'git mv one moved; echo three > three');
      await work(3, 'echo four > four');
      if (!saved(3)) await work(4, 'echo five > five');
      expect(existsSync(join(folder, 'words')), `git call ${call} was made`).toBe(true);
      const words = readFileSync(join(folder, 'words'), 'utf8').trim();
      const last = stage.eventsOf('saved').at(-1);
      const told = `${words}\n${JSON.stringify(stage.eventsOf('saved').map(({ turn, pushed, problem }) => ({ turn, pushed, problem })))}`;
      expect(last?.pushed, told).toBe(true);
      const bare = (await stage.host.directory('acme/shop')) ?? '';
      const onBranch = (name: string) =>
        execFileSync('git', ['ls-tree', '--name-only', name], { cwd: bare, encoding: 'utf8' });
      const onHost = onBranch(BRANCH);
      const base = onBranch('main');
      if (kept.has('one') && onHost.includes('moved')) kept.delete('one');
      const expected = [...base.trim().split('\n'), ...kept, ...(byPerson ? ['person'] : []), 'four'];
      expect(onHost.trim().split('\n'), told).toEqual(expect.arrayContaining(expected));
      expect(execFileSync('git', ['status', '--porcelain'], { cwd: worktree, encoding: 'utf8' }), told).toBe('');
    });
  },
);
