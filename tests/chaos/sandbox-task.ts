/** The task of `npm run chaos:sandbox`: steps that change the worktree, each of which bears being repeated. */
import { bash, edit, type Part, read, type Script, type Task, write } from '../../dev/claude/script.ts';

/** Tool calls that one round of the task makes. */
export const CALLS_A_ROUND = 5;

/**
 * `[script: chaos N ms ledger]`: N rounds of a command, a new file, an edit and a commit, with ms of thought before each. Each
 * command notes in the ledger, a file or a URL outside of the sandbox, that it was carried out.
 */
export const chaos: Script = function* (task: Task): Part<{ text: string }> {
  const [rounds = '3', pause = '500', ledger = '/dev/null'] = task.args;
  const { directory } = task;
  const pauseMs = Number(pause);
  for (let round = 1; round <= Number(rounds); round++) {
    const note = (step: string) =>
      ledger.startsWith('http')
        ? `curl -s -m 5 -o /dev/null ${ledger}/${round}-${step}`
        : `echo ${round}-${step} >> ${ledger}`;
    const think = (words: string) => ({ text: `${words} ${round}.`, pauseMs });
    yield* insist(() =>
      bash(
        `mkdir -p work && printf 'line %s\\n' ${round} > work/made-${round}.txt && rm -f work/made-${round - 2}.txt && ${note('a')}`,
        'Make a file, remove another',
        think('Round'),
      ),
    );
    const file = `${directory}/work/notes-${round}.md`;
    // A file that exists has to be read before it may be written.
    yield* read(file, { pauseMs });
    yield* insist(
      () => write(file, `# Round ${round}\n\nto be done\n`, { pauseMs }),
      () => read(file),
    );
    yield* insist(
      () => edit(file, 'to be done', `done in round ${round}`, { pauseMs }),
      () => read(file),
    );
    const commit = `git add -A && (git diff --cached --quiet || git commit -qm "Round ${round}")`;
    yield* insist(() => bash(`${round % 2 === 0 ? commit : 'git add work'} && ${note('b')}`, 'Keep it', { pauseMs }));
  }
  yield* bash('echo left over > untracked.txt', 'Leave something uncommitted', { pauseMs });
  return { text: `Done: ${rounds} rounds.` };
};

/** A call whose outcome was lost is made again, at most a few times. */
function* insist(
  make: () => Part<{ text: string; isError: boolean }>,
  first: (() => Part<unknown>) | null = null,
): Part<void> {
  for (let tries = 0; tries < 6; tries++) {
    const result = yield* make();
    if (!result.isError || /String to replace not found|No changes to make/.test(result.text)) return;
    if (first) yield* first();
  }
}
