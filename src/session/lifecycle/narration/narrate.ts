/**
 * Journal entries turned into Linear activities: pure, one entry at a time. Follows
 * https://linear.app/developers/agent-interaction: activities are append-only, so a tool call is an ephemeral action
 * when it begins and a final one with its result; a turn ends in exactly one response or error.
 */

import { cutText, fence, headAndTail, inlineCode } from '../../../lib/markdown.ts';
import { plainOutput } from '../../../lib/terminal-text.ts';
import type { Hunk, JournalBody } from '../../../protocol/journal.ts';
import type { Message, MessageContent } from '../model/messages.ts';
import { type Cue, initialNarration, type NarrationState } from '../model/narration.ts';
import { runningWords } from './background-words.ts';
import { MAX_BODY, safeBody, safeMarkdown, safeText } from './safe-text.ts';
import { relativePath, toolWords } from './tool-words.ts';

/** Longest result of a call, in UTF-16 code units. */
const MAX_RESULT = 2_000;
/** Room kept in the last body of a turn for where the work is. */
const MAX_WHERE = 2_000;
/** Most open tool calls remembered. */
const MAX_CALLS = 100;
/** `commits` of a save lists no more than this. */
const LISTED_COMMITS = 50;

type Body<K extends JournalBody['kind']> = Extract<JournalBody, { kind: K }>;
type Told = { state: NarrationState; activities: Message[] };

/**
 * Tells one journal entry in Linear.
 * @returns the next state, and the activities to post, in order
 */
export function narrate(state: NarrationState, entry: JournalBody): Told {
  // What a subagent says and does is told by the call that started it.
  if ('parentToolUseId' in entry && entry.parentToolUseId !== undefined) return { state, activities: [] };
  switch (entry.kind) {
    case 'claude-started':
      return { state: { ...state, cwd: entry.cwd }, activities: [] };
    case 'text':
      return after(release(state), (next) => ({
        state: { ...next, held: safeBody(entry.text, entry.truncatedFrom) },
        activities: [],
      }));
    case 'thinking':
      return release(state);
    case 'tool-call':
      return after(release(state), (next) => narrateCall(next, entry));
    case 'tool-result':
      return after(release(state), (next) => narrateResult(next, entry));
    case 'notice':
      return narrateNotice(state, entry);
    case 'retry':
      return { state, activities: entry.attempt < 2 ? [] : [passingThought(retryWords(entry))] };
    case 'rate-limit':
      return { state, activities: entry.status === 'rejected' ? [passingThought(limitWords(entry.resetsAt))] : [] };
    case 'model-changed':
      return after(release(state), (next) => ({
        state: next,
        activities: thought(`Continuing with ${inlineCode(entry.to)} instead of ${inlineCode(entry.from)}.`),
      }));
    case 'saved':
      return {
        state: {
          ...state,
          saved: {
            branch: entry.branch,
            commits: entry.commits.length,
            newCommits: entry.newCommits,
            pushed: entry.pushed,
            problem: entry.problem ?? null,
            ...(entry.background && { background: entry.background }),
          },
        },
        activities: [],
      };
    case 'pull-request':
    case 'branch-link':
      return { state: { ...state, proposed: entry }, activities: [] };
    case 'turn-ended':
      return narrateEnd(state, entry);
    default:
      return { state, activities: [] };
  }
}

function after(first: Told, then: (state: NarrationState) => Told): Told {
  const second = then(first.state);
  return { state: second.state, activities: [...first.activities, ...second.activities] };
}

/** Something other than the end of the turn follows: what was held back is told as a thought. */
function release(state: NarrationState): Told {
  if (state.held === null && state.heldError === null) return { state, activities: [] };
  return {
    state: { ...state, held: null, heldError: null },
    activities: [...thought(state.held ?? ''), ...thought(state.heldError ?? '')],
  };
}

/** What a cue changes of the narration; it tells nothing. */
export function takeCue(state: NarrationState, cue: Cue): NarrationState {
  const { held, heldError } = state;
  switch (cue.kind) {
    case 'end-known':
      return { ...state, held: null, heldError: null, atEnd: { held, heldError } };
    case 'error-explained':
      return { ...state, heldError: null };
    case 'proposed':
      return { ...state, proposed: cue.proposed };
  }
}

/** Tools that the session tells in its own way: a question as an elicitation, tasks as the plan. */
const TOLD_OTHERWISE = new Set(['AskUserQuestion', 'TaskCreate', 'TaskUpdate', 'TaskGet', 'TaskList']);

function narrateCall(state: NarrationState, entry: Body<'tool-call'>): Told {
  if (TOLD_OTHERWISE.has(entry.name)) return { state, activities: [] };
  const { action, doing, parameter } = toolWords(entry.name, entry.input, state.cwd);
  const call = { toolUseId: entry.toolUseId, name: entry.name, action, parameter: safeMarkdown(parameter) };
  return {
    state: { ...state, calls: [...state.calls.slice(1 - MAX_CALLS), call] },
    activities: [{ content: { type: 'action', action: doing, parameter: call.parameter }, ephemeral: true }],
  };
}

function narrateResult(state: NarrationState, entry: Body<'tool-result'>): Told {
  const call = state.calls.find((open) => open.toolUseId === entry.toolUseId);
  if (call === undefined) return { state, activities: [] };
  const next = { ...state, calls: state.calls.filter((open) => open !== call) };
  const notRun = notRunWords(call, entry);
  if (notRun) return { state: next, activities: [{ content: { type: 'action', ...notRun }, ephemeral: false }] };
  const action = entry.edit ? (entry.edit.created ? 'Created' : 'Edited') : call.action;
  const parameter = entry.edit ? safeMarkdown(relativePath(entry.edit.path, state.cwd)) : call.parameter;
  const result = resultWords(call.name, entry);
  const content: MessageContent = { type: 'action', action, parameter, ...(result !== null && { result }) };
  return { state: next, activities: [{ content, ephemeral: false }] };
}

/** Tools whose result is their input's subject read aloud; in Linear the subject is enough. */
const SILENT = new Set(['Read', 'ToolSearch', 'Skill']);

/** What the CLI answers for a tool that an interrupt cut short (measured with CLI 2.1.330). */
const REFUSED_BY_STOP = "The user doesn't want to proceed with this tool use.";

/** What the CLI says where a command printed nothing. */
const NO_OUTPUT = '(Bash completed with no output)';

/** What the CLI answers for a tool that it does not have, and for an input that the tool does not take (measured with CLI 2.1.330). */
const NO_SUCH_TOOL = /No such tool available/;
const WRONG_INPUT = /InputValidationError/;
/** How Cyrus's refusals of a tool begin: see session/lifecycle/questions/permissions.ts and the sandbox server's own. */
const NOT_ALLOWED =
  /^(.{1,100} did not allow this\b|Nobody answered within \d+ minutes\b|This very call was not allowed\b|This call is too long for people|The turn is over, so nobody can be asked|Too many calls wait for permission|This session may not do that\b)/;

/** A call that did nothing is not told as if it had; null for one that ran, whatever came of it. */
function notRunWords(
  { name, parameter }: NarrationState['calls'][number],
  { isError, text }: Body<'tool-result'>,
): { action: string; parameter: string; result?: string } | null {
  if (!isError) return null;
  const tool = inlineCode(safeText(cutText(name, 200))) || '(no name)';
  if (NO_SUCH_TOOL.test(text.slice(0, 300))) return { action: 'Called a tool that does not exist', parameter: tool };
  if (WRONG_INPUT.test(text.slice(0, 300)))
    return { action: 'Called a tool with input that it does not accept', parameter: tool };
  if (!NOT_ALLOWED.test(text)) return null;
  const said = fence(safeText(headAndTail(plainOutput(text).trim(), MAX_RESULT)));
  return { action: 'Not allowed', parameter, result: said };
}

function resultWords(tool: string, entry: Body<'tool-result'>): string | null {
  if (entry.isError) {
    if (entry.text.startsWith(REFUSED_BY_STOP)) return 'Interrupted.';
    const text = plainOutput(entry.text)
      .replace(/<\/?tool_use_error>/g, '')
      .trim();
    return text === '' ? 'Failed.' : `Failed:\n\n${fence(safeText(headAndTail(text, MAX_RESULT)))}`;
  }
  if (entry.edit) return entry.edit.hunks.length > 0 ? fence(safeText(diffWords(entry.edit.hunks)), 'diff') : null;
  const text = plainOutput(entry.text).trim();
  if (SILENT.has(tool) || text === '' || text === NO_OUTPUT) return null;
  return fence(safeText(headAndTail(text, MAX_RESULT)));
}

function diffWords(hunks: Hunk[]): string {
  const lines: string[] = [];
  let left = MAX_RESULT;
  for (const hunk of hunks) {
    lines.push(`@@ -${hunk.oldStart},${hunk.oldLines} +${hunk.newStart},${hunk.newLines} @@`);
    for (const line of hunk.lines) {
      if (left <= 0) return [...lines, '… more lines changed'].join('\n');
      const shown = cutText(plainOutput(line), 200);
      left -= shown.length + 1;
      lines.push(shown);
    }
  }
  return lines.join('\n');
}

function narrateNotice(state: NarrationState, entry: Body<'notice'>): Told {
  switch (entry.level) {
    case 'info':
      return { state, activities: [] };
    case 'warning':
      // It says nothing about what Claude is doing: the text before it may be the answer all the same.
      return { state, activities: thought(entry.text) };
    case 'error':
      return after(release(state), (next) => ({ state: { ...next, heldError: safeBody(entry.text) }, activities: [] }));
  }
}

function narrateEnd(state: NarrationState, entry: Body<'turn-ended'>): Told {
  const { atEnd, saved, calls } = state;
  const { held, heldError } = atEnd ?? state;
  // What came of a pull request is told once; where one is, again and again.
  const known = state.proposed?.url ? { proposed: state.proposed } : {};
  const later = atEnd ? { held: state.held, heldError: state.heldError, calls } : {};
  const next: NarrationState = { ...initialNarration, cwd: state.cwd, saved, ...known, ...later };
  const isAnswer = held !== null && held === safeBody(entry.text, entry.truncatedFrom);
  const told = held === null || isAnswer ? [] : thought(held);
  // An error before a failed turn is its cause, which the end tells in better words.
  const errors = heldError === null || entry.outcome === 'failed' ? [] : thought(heldError);
  return { state: next, activities: [...told, ...errors, { content: ending(entry, state), ephemeral: false }] };
}

function ending(entry: Body<'turn-ended'>, state: NarrationState): MessageContent {
  const running = state.saved?.background ? safeMarkdown(runningWords(state.saved.background)) : '';
  const where = joined(whereWords(state, entry.outcome), running);
  const body = (text: string) => joined(safeBody(text, entry.truncatedFrom, MAX_BODY - MAX_WHERE), where);
  const text = entry.text.trim();
  switch (entry.outcome) {
    case 'completed':
      return { type: 'response', body: body(text || 'Done.') };
    case 'stopped':
      return { type: 'response', body: body(/^stopped\b/i.test(text) ? text : `Stopped. ${text}`) };
    case 'failed':
      return { type: 'error', body: body(text || 'The turn failed.') };
  }
}

/** One line that says where the work is. */
function whereWords({ saved, proposed }: NarrationState, outcome: Body<'turn-ended'>['outcome']): string {
  if (saved === null) return '';
  const problem = saved.problem === null ? '' : ` ${safeMarkdown(cutText(saved.problem, 1_000))}`;
  if (saved.commits === 0) {
    // Beside something that was not kept it would be wrong.
    const unchanged = problem === '' ? 'Nothing was changed.' : '';
    const nothing = outcome === 'completed' ? unchanged : 'The branch has no commits yet.';
    return `${nothing}${problem}`.trim();
  }
  const count = saved.commits >= LISTED_COMMITS ? `${LISTED_COMMITS} or more commits` : plural(saved.commits, 'commit');
  const fresh = saved.newCommits > 0 && saved.newCommits < saved.commits ? `, ${saved.newCommits} of them new` : '';
  const missing = saved.pushed ? '' : ' (not pushed)';
  const page = proposed?.kind === 'branch-link' ? proposed.url : null;
  const branch = page === null ? inlineCode(saved.branch) : `[${inlineCode(saved.branch)}](${page})`;
  const rest = `ranch ${branch}, ${count}${fresh}${missing}.${problem}`;
  const { before, after } = pullRequestWords(proposed);
  return `${before === '' ? 'B' : `${before}: b`}${rest}${after}`;
}

/** What is said of a pull request before and after the words about its branch. */
function pullRequestWords(proposed: NarrationState['proposed']): { before: string; after: string } {
  if (proposed?.kind !== 'pull-request') return { before: '', after: '' };
  const { state, number, url, draft, problem = '' } = proposed;
  switch (state) {
    case 'opened':
    case 'updated':
      return { before: `[Pull request #${number}](${url})${draft ? ' (draft)' : ''}`, after: '' };
    case 'pending':
      return number === null
        ? { before: '', after: ' The pull request is not open yet; it will be linked here as soon as it is.' }
        : { before: '', after: ` [Pull request #${number}](${url}) will be updated as soon as GitHub allows it.` };
    case 'failed':
      return number === null
        ? { before: '', after: ` No pull request was opened: ${safeMarkdown(cutText(problem, 1_000))}` }
        : {
            before: '',
            after: ` [Pull request #${number}](${url}) could not be updated: ${safeMarkdown(cutText(problem, 1_000))}`,
          };
  }
}

function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}

function retryWords(entry: Body<'retry'>): string {
  const what =
    entry.error === 'overloaded'
      ? "Claude's API is overloaded"
      : entry.error === 'rate_limit'
        ? "Claude's API is limiting requests"
        : entry.error === 'authentication_failed'
          ? "Claude's API does not accept the credential"
          : "Claude's API does not answer";
  const seconds = Math.max(1, Math.round(entry.delayMs / 1000));
  return `${what}; trying again in ${plural(seconds, 'second')} (attempt ${entry.attempt} of ${entry.maxAttempts}).`;
}

function limitWords(resetsAt: number | null): string {
  const until = resetsAt === null ? '' : ` until ${new Date(resetsAt).toISOString().slice(11, 16)} UTC`;
  return `A limit of the Claude account is reached${until}.`;
}

function thought(body: string): Message[] {
  const safe = safeBody(body);
  return safe === '' ? [] : [{ content: { type: 'thought', body: safe }, ephemeral: false }];
}

function passingThought(body: string): Message {
  return { content: { type: 'thought', body }, ephemeral: true };
}

function joined(...parts: string[]): string {
  return parts.filter((part) => part !== '').join('\n\n');
}
