/**
 * What the scripted model does, and how to make it do something else.
 *
 * A script is a generator: it yields steps (what is thought, said, and which tools are called), is given the results,
 * and returns the answer that ends the turn. The real Claude CLI carries the tools out, so files really change.
 *
 *     const greet: Script = function* (task) {
 *       const who = yield* bash('git config user.name', 'See who commits', { text: 'Let me see who you are.' });
 *       if (who.isError) return { text: 'I could not find out who you are.' };
 *       yield* write(`${task.directory}/hello.txt`, `Hello ${who.text}\n`);
 *       return { text: 'I wrote `hello.txt`.' };
 *     };
 *
 * Put it into `scripts` below under a name, and `[script: greet]` anywhere in an issue's text selects it; what follows the name
 * (`[script: greet loudly]`) is `task.args`. A test gives its own to `startScriptedModel({ scripts: { greet } })`. Without a marker the first prompt of a conversation gets `repair`, a later
 * one `follow-up`. A message sent while a turn runs is acknowledged in the next step and taken up by `follow-up` (or
 * by the script its marker names) once the script is done, within the same turn.
 *
 * Scripts are replayed from the start for every request with the results found in it (nothing is kept between requests),
 * so that they survive a restart of the model and a resumed conversation. Hence: no clock, no randomness, no variables
 * outside of the generator; and since a killed turn may be run again from its prompt, each step must bear being repeated.
 */
import { z } from 'zod';
import { messageOf } from '../../src/lib/error.ts';
import { followUp, repair, repairAndPushMain, repairUncommitted } from './repair.ts';
import { type Answer, bash, firstWords, type Part, type Script, type Step, type Task, use, write } from './script.ts';

/** `[script: no-change]`: looks, answers, changes nothing. */
function* noChange(task: Task): Part<Answer> {
  const log = yield* bash('git log --oneline -5', 'See the last commits', { text: 'I look around first.' });
  return {
    text: `You asked: “${firstWords(task.prompt)}”. Nothing needs to be changed.\n\n\`\`\`\n${log.text.trim()}\n\`\`\``,
  };
}

/** `[script: answer-review]`: answers each comment of a review by its number, as the review asks. */
function* answerReview(task: Task): Part<Answer> {
  const log = yield* bash('git log --oneline -1', 'See the last commit', { text: 'I read the comments.' });
  const numbers = [...task.prompt.matchAll(/^\*\*Comment (\d{1,4})\*\*/gm)].map(([, number]) => number);
  const answers = numbers.map((number) => `**Comment ${number}:** Seen at \`${log.text.trim().slice(0, 7)}\`.`);
  return { text: answers.join('\n\n') || 'There are no comments.' };
}

/**
 * `[script: long-tool]` or `[script: long-tool /tmp/pids.json]`: a command with a child process of its own, both of which run until they
 * are killed (at most the 10 minutes the CLI allows). Their process ids go, as `{"shell","parent","child"}`, into the file
 * given, or into `long-tool.json` in the worktree's git directory.
 */
function* longTool(task: Task): Part<Answer> {
  const given = task.args[0] ?? '';
  const file = /^\/[\w./-]+$/.test(given) ? `'${given}'` : '"$(git rev-parse --absolute-git-dir)/long-tool.json"';
  const program = `const { spawn } = require("child_process"); const { writeFileSync, renameSync } = require("fs"); const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" }); const file = process.argv[1]; writeFileSync(file + ".new", JSON.stringify({ shell: process.ppid, parent: process.pid, child: child.pid })); renameSync(file + ".new", file); console.log("running"); setInterval(() => {}, 1000)`;
  const result = yield* use(
    'Bash',
    { command: `node -e '${program}' ${file}`, description: 'Run until killed', timeout: 600_000 },
    { text: 'I start something that takes its time.' },
  );
  return { text: `The command ended:\n\n\`\`\`\n${result.text.trim() || 'no output'}\n\`\`\`` };
}

/** `[script: question]`: asks a person which colour, then writes the answer into `colour.txt` and commits it. */
function* question(task: Task): Part<Answer> {
  const options = [
    { label: 'Red', description: 'Like a warning' },
    { label: 'Blue', description: 'Like the sky' },
  ];
  const questions = [{ question: 'Which colour?', header: 'Colour', multiSelect: false, options }];
  const answer = yield* use('AskUserQuestion', { questions }, { text: 'One thing is open.' });
  const said = task.prompt.includes('answer') && answer.isError ? task.prompt : answer.text;
  yield* write(`${task.directory}/colour.txt`, `${said}\n`);
  yield* bash('git add colour.txt && git commit -m "Note the colour"', 'Commit');
  return { text: `I noted the answer: ${said}` };
}

/** `[script: attachment]`: looks at the first file that the prompt says was saved, shares a copy of it and shows it in the answer. */
function* attachment(task: Task): Part<Answer> {
  const path = /^- (\/[\w./-]+) ← /m.exec(task.whole)?.[1];
  if (path === undefined) return { text: 'The prompt names no file.' };
  const sum = yield* bash(`sha256sum '${path}'`, 'Look at the file', { text: 'I look at the file first.' });
  yield* bash(`cp '${path}' "$CYRUS_SHARE/seen.png"`, 'Share a copy');
  return { text: `Its checksum is ${sum.text.split(' ')[0]}.\n\n![What I saw](share/seen.png)` };
}

const vocabulary =
  'the cart holds every item with its price and quantity while a coupon takes its share and shipping comes last so that the customer sees one total which is the sum of all parts in whole cents';

/** `[script: long-text N]` or `[script: long-text N ms]`: an answer of N words, one word a piece, ms between two pieces. */
function* longText(task: Task): Part<Answer> {
  const words = vocabulary.split(' ');
  const count = readNumber(task.args[0], 500, 200_000);
  const lines: string[] = [];
  for (let at = 0; at < count; at += 40) {
    const line = Array.from({ length: Math.min(40, count - at) }, (_, index) => words[(at + index) % words.length]);
    lines.push(line.join(' '));
  }
  return {
    text: lines.join('\n\n'),
    wordsPerDelta: 1,
    ...(task.args[1] ? { paceMs: readNumber(task.args[1], 0, 10_000) } : {}),
  };
}

/** `[script: many-tools N]`: N short commands one after the other. */
function* manyTools(task: Task): Part<Answer> {
  const count = readNumber(task.args[0], 20, 2_000);
  let failed = 0;
  for (let index = 1; index <= count; index++) {
    const result = yield* bash(`echo "tool ${index} of ${count}"`, `Tool ${index} of ${count}`);
    if (result.isError) failed++;
  }
  return { text: `Called ${count} tools, ${failed} of which failed.` };
}

/** `[script: parallel-tools N]`: N short commands in one message. */
function* parallelTools(task: Task): Part<Answer> {
  const count = readNumber(task.args[0], 4, 50);
  const calls = Array.from({ length: count }, (_, index) => ({
    name: 'Bash',
    input: { command: `echo "parallel ${index + 1}"`, description: `Command ${index + 1} of ${count}` },
  }));
  const results = yield { text: `I run ${count} commands together.`, calls };
  return { text: results.map((result) => `- ${result.text.trim()}`).join('\n') };
}

/**
 * `[script: steps N ms]`: N times a small command and a new file `steps/step-K.txt`, with ms of silence before each. Nothing is committed.
 */
function* steps(task: Task): Part<Answer> {
  const count = readNumber(task.args[0], 10, 2_000);
  const pauseMs = readNumber(task.args[1], 0, 600_000);
  for (let index = 1; index <= count; index++) {
    yield* bash(`echo "step ${index}"`, `Step ${index} of ${count}`, { text: `Step ${index} of ${count}.`, pauseMs });
    yield* write(`${task.directory}/steps/step-${index}.txt`, `step ${index}\n`);
  }
  return { text: `Done: ${count} steps, ${count} files in \`steps/\`, nothing committed.` };
}

/** `[script: plan N ms]`: a plan of N steps, carried out one after the other with ms of silence before each. */
function* tasks(task: Task): Part<Answer> {
  const count = readNumber(task.args[0], 3, 50);
  const pauseMs = readNumber(task.args[1], 0, 600_000);
  const parts = ['Read the cart', 'Mend the total', 'Write a test', 'Run all tests'];
  const ids: string[] = [];
  for (let index = 0; index < count; index++) {
    const subject = parts[index] ?? `Step ${index + 1}`;
    const created = yield* use(
      'TaskCreate',
      { subject, description: subject },
      index === 0 ? { text: 'I plan first.' } : {},
    );
    ids.push(/#(\w+)/.exec(created.text)?.[1] ?? String(index + 1));
  }
  for (const [index, taskId] of ids.entries()) {
    yield* use('TaskUpdate', { taskId, status: 'in_progress' });
    yield { calls: [{ name: 'Bash', input: { command: `echo "part ${index + 1}"` } }], pauseMs };
    yield* use('TaskUpdate', { taskId, status: 'completed' });
  }
  return { text: `Done: ${count} steps of the plan.` };
}

/**
 * `[script: tool NAME {"a":1}]`: calls one tool with this input, e.g. one of an MCP server: `mcp__linear__get_issue {"id":"ENG-1"}`.
 * What it gave is the answer.
 */
function* tool(task: Task): Part<Answer> {
  const [name = '', ...rest] = task.args;
  let input: unknown;
  try {
    input = JSON.parse(rest.join(' ') || '{}');
  } catch {
    return { text: 'The input of the tool is not JSON.' };
  }
  const result = yield* use(name, { ...(typeof input === 'object' ? input : {}) }, { text: `I call ${name}.` });
  return { text: result.text };
}

/**
 * `[script: b64 PLAN]`, where PLAN is this JSON in base64, so that a plan can hold the prompts of helpers, which hold plans:
 * `{"steps":[…],"text":"…"}`. A step is `{"sh":"command"}`, a tool `{"name":"Agent","input":{…}}`, several at once
 * `{"calls":[…]}`, or `{"wait":"words"}`, which ends with these words until something in the background is done. `$OUT` in a
 * text is what the step before gave.
 */
function* plan(task: Task): Part<Answer> {
  let read: z.infer<typeof planSchema>;
  try {
    read = planSchema.parse(JSON.parse(Buffer.from(task.args[0] ?? '', 'base64').toString('utf8')));
  } catch (error) {
    return { text: `The plan cannot be read: ${messageOf(error)}` };
  }
  let out = '';
  const filled = (text: string) => text.replaceAll('$OUT', () => out);
  for (const step of read.steps) {
    const results = yield 'wait' in step
      ? { text: filled(step.wait), calls: [] }
      : { ...(step.text && { text: filled(step.text) }), calls: callsOf(step) };
    out = results.map((result) => result.text).join('\n');
  }
  return { text: filled(read.text) };
}

const callSchema = z.strictObject({
  name: z.string(),
  input: z.record(z.string(), z.unknown()),
  text: z.string().optional(),
});
const planSchema = z.strictObject({
  steps: z
    .array(
      z.union([
        z.strictObject({ sh: z.string(), text: z.string().optional() }),
        callSchema,
        z.strictObject({ calls: z.array(callSchema), text: z.string().optional() }),
        z.strictObject({ wait: z.string().min(1) }),
      ]),
    )
    .default([]),
  text: z.string().min(1),
});
type PlanStep = Exclude<z.infer<typeof planSchema>['steps'][number], { wait: string }>;

function callsOf(step: PlanStep): Step['calls'] {
  if ('sh' in step) return [{ name: 'Bash', input: { command: step.sh, description: 'A command of the plan' } }];
  const calls = 'calls' in step ? step.calls : [step];
  // `Task` is the older name of the tool `Agent` (measured: CLI 2.1.330 offers it as Agent).
  return calls.map(({ name, input }) => ({ name: name === 'Task' ? 'Agent' : name, input }));
}

/** A marker for `[script: b64 …]`. @param what as described there */
export function planMarker(what: z.input<typeof planSchema>): string {
  return `[script: b64 ${Buffer.from(JSON.stringify(what)).toString('base64')}]`;
}

/** All scripts by the name that a marker gives. */
export const scripts: Record<string, Script> = {
  repair,
  'follow-up': followUp,
  uncommitted: repairUncommitted,
  'push-main': repairAndPushMain,
  'answer-review': answerReview,
  'no-change': noChange,
  question,
  attachment,
  'long-tool': longTool,
  'long-text': longText,
  'many-tools': manyTools,
  'parallel-tools': parallelTools,
  steps,
  plan: tasks,
  tool,
  b64: plan,
};

/** What a person asked for: what is inside `<cyrus-request>`, without that tag the whole prompt. */
export function requestText(prompt: string): string {
  return (/<cyrus-request>\n([\s\S]*?)\n<\/cyrus-request>/.exec(prompt)?.[1] ?? prompt).trim();
}

/**
 * Which of the known scripts a prompt gets, and the arguments of its marker. The
 * request's own marker goes before one elsewhere in the prompt. An unknown name is said in the answer.
 */
export function chooseScript(
  known: Record<string, Script>,
  prompt: string,
  isFirst: boolean,
): { name: string; script: Script; args: string[] } {
  const marker = /\[script:\s*([^\]]*)\]/i;
  const match = marker.exec(requestText(prompt)) ?? marker.exec(prompt);
  const [wanted, ...args] = (match?.[1] ?? '').trim().split(/\s+/);
  const name = wanted || (isFirst ? 'repair' : 'follow-up');
  const script = Object.hasOwn(known, name) ? known[name] : undefined;
  return { name, script: script ?? unknownScript(name, known), args };
}

function unknownScript(name: string, known: Record<string, Script>): Script {
  // biome-ignore lint/correctness/useYield: a script that calls no tools has nothing to yield
  return function* (): Generator<Step, Answer> {
    return { text: `There is no script \`${firstWords(name)}\`. I know: ${Object.keys(known).join(', ')}.` };
  };
}

function readNumber(text: string | undefined, otherwise: number, most: number): number {
  const number = Number.parseInt(text ?? '', 10);
  return Number.isFinite(number) && number >= 0 ? Math.min(number, most) : otherwise;
}
