/** What Claude does in `npm run soak`: `[script: soak SESSION PART N ms]`, N calls with ms of thought before each. */
import { bash, edit, read, type Script, write } from '../../dev/claude/script.ts';

/** Commands, new files and edits in turns; every command bears a mark that is found again in the journal and in Linear. */
export const soak: Script = function* (task) {
  const [session = '0', part = '0', calls = '10', pause = '500'] = task.args;
  const { directory } = task;
  const pauseMs = Number(pause);
  const file = `${directory}/soak-${part}.md`;
  yield* write(file, 'line 0\n', { pauseMs });
  yield* read(file, { pauseMs });
  for (let at = 1; at <= Number(calls) - 2; at += 1) {
    const think =
      at % 5 === 0 ? { text: `Step ${at}: the sum is compared with what the cart shows.`, pauseMs } : { pauseMs };
    if (at % 4 === 0) yield* write(`${directory}/made-${part}-${at % 40}-${at}.txt`, `made in step ${at}\n`, think);
    else if (at % 4 === 2) yield* edit(file, `line ${Math.max(0, at - 4)}\n`, `line ${at}\n`, think);
    else yield* bash(`echo soak-${session}-${part}-${at} >> soak.log`, `Note step ${at}`, think);
  }
  return { text: `Part ${part} is done: ${calls} calls.` };
};
