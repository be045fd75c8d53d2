/** What a script of the scripted model says and does, so that what came of it can be held against it. */
import type { Answer, Step } from '../../dev/claude/script.ts';
import { scripts } from '../../dev/claude/scripts.ts';

export interface ScriptedWork {
  /** Each text Claude says before the last, in order. */
  texts: string[];
  /** Each tool call, in order. */
  calls: Step['calls'];
  /** What ends the turn. */
  answer: string;
}

/**
 * Plays a script whose steps do not depend on results.
 * @param name as in `[script: name]`. @param args what follows the name. @param directory where the tools run
 */
export function workOf(name: string, args: (string | number)[], directory: string): ScriptedWork {
  const script = scripts[name];
  if (!script) throw new Error(`there is no script ${name}`);
  const playing = script({ prompt: '', whole: '', args: args.map(String), directory });
  const work: ScriptedWork = { texts: [], calls: [], answer: '' };
  let next: IteratorResult<Step, Answer> = playing.next([]);
  while (!next.done) {
    const { text, calls } = next.value;
    if (text) work.texts.push(text);
    work.calls.push(...calls);
    next = playing.next(calls.map(() => ({ text: '', isError: false })));
  }
  work.answer = next.value.text;
  return work;
}
