/**
 * Permission questions: what a tool that is not allowed without asking would do, in words that hide nothing; what people
 * say to it; and what was allowed for the whole session. Pure.
 */

import { fingerprint } from '../../../lib/fingerprint.ts';
import { cutText, fence, inlineCode } from '../../../lib/markdown.ts';
import { HELD_PUSH_TOOL, type HeldPush, heldPushSchema } from '../../../protocol/held-push.ts';
import type { JournalBody } from '../../../protocol/journal.ts';
import type { Decision } from '../../../protocol/sandbox/commands.ts';
import { readMcpToolName } from '../../../protocol/settings/mcp.ts';
import { linkedImages } from '../../../protocol/text/foreign-images.ts';
import { withoutDisguise } from '../../../protocol/text/visible-text.ts';
import { PERMISSION_LIMIT_MS } from '../model/deadlines.ts';
import type { Grant, PermissionQuestion } from '../model/questions.ts';
import { safeText } from '../narration/safe-text.ts';
import { type Choice, listWords, readChoice } from './choices.ts';
import { readYesNo } from './yes-no.ts';

/** Most characters of a call that Linear and the page's question show; the page's entry of the call has the whole. */
export const MAX_SHOWN = 2_000;
const MAX_GRANTS = 200;
const askedPushSchema = heldPushSchema.pick({ fingerprint: true });

export const ALLOW_ONCE = 'Allow once';
export const ALLOW_FOR_SESSION = 'Allow for this session';
export const DENY = 'Deny';

/** Time people have to answer, in minutes. */
export const MINUTES_TO_ANSWER = PERMISSION_LIMIT_MS / 60_000;

type QuestionEntry = Extract<JournalBody, { kind: 'question' }>;

/**
 * Of a push people see what the gateway made of it, not what the sandbox says that it is.
 * @param held the last push that the gateway held back
 * @returns the entry as it is kept and judged
 */
export function asTheGatewaySaw(entry: QuestionEntry, held: HeldPush | undefined): QuestionEntry {
  if (entry.name !== HELD_PUSH_TOOL) return entry;
  const asked = askedPushSchema.safeParse(entry.input);
  const isSame = asked.success && asked.data.fingerprint === held?.fingerprint;
  return { ...entry, input: isSame ? { ...held } : null };
}

/** @returns the question; null where the call is too long to have been kept whole, or unknown, so that nobody could judge it */
export function readPermission(entry: QuestionEntry): PermissionQuestion | null {
  if (entry.truncatedFrom !== undefined) return null;
  if (entry.name === HELD_PUSH_TOOL) return readHeldPush(entry.requestId, entry.input);
  const { title, text, words } = callWords(entry.name, entry.input);
  const visible = withoutDisguise(text);
  const isCut = visible.length > MAX_SHOWN;
  return {
    kind: 'permission',
    requestId: entry.requestId,
    title: withoutDisguise(title),
    shown: cutText(visible, MAX_SHOWN),
    cutFrom: isCut ? visible.length : null,
    why: entry.permission?.why == null ? null : withoutDisguise(entry.permission.why),
    grant: isCut ? null : { key: `${entry.name}\n${text}`, words },
    call: fingerprint(`${entry.name}\n${text}`),
  };
}

/** A push of what runs on the git host: what is allowed are these very contents, so there is nothing to allow beyond them. */
function readHeldPush(requestId: string, input: unknown): PermissionQuestion | null {
  const held = heldPushSchema.safeParse(input);
  if (!held.success) return null;
  const { files, diff, fingerprint: push } = held.data;
  return {
    kind: 'permission',
    requestId,
    title: `push changes to what runs on the git host (${withoutDisguise(files.join(', '))})`,
    shown: withoutDisguise(diff),
    cutFrom: null,
    why: "These files run there with the repository's secrets, before anybody has looked at the branch.",
    grant: null,
    call: fingerprint(`${HELD_PUSH_TOOL}\n${push}\n${diff}`),
    push,
  };
}

/** Answers to choose from, in their order. */
export function permissionChoices({ grant }: Pick<PermissionQuestion, 'grant'>): Choice[] {
  return grant ? [ONCE, FOR_SESSION, DENIED] : [ONCE, DENIED];
}

const ONCE: Choice = { id: 'once', label: ALLOW_ONCE };
const FOR_SESSION: Choice = { id: 'session', label: ALLOW_FOR_SESSION };
const DENIED: Choice = { id: 'deny', label: DENY };

/** The question as Markdown. */
export function askWords(about: PermissionQuestion): string {
  const { title, why, grant } = about;
  const shown = cutText(about.shown, MAX_SHOWN);
  const whole = about.cutFrom ?? about.shown.length;
  const cut = whole <= MAX_SHOWN ? '' : `Cut after ${MAX_SHOWN} of ${whole} characters; the live page shows the whole.`;
  const list = listWords(permissionChoices(about));
  const forSession = grant ? `“${ALLOW_FOR_SESSION}” allows ${grant.words}. ` : '';
  const rest = `If you say no, you can say why; Claude reads it. Without an answer within ${MINUTES_TO_ANSWER} minutes it is denied.`;
  return [
    `Claude asks to ${linkedImages(title)}:`,
    fence(shown, about.push === undefined ? '' : 'diff'),
    cut,
    linkedImages(why ?? ''),
    list,
    `${forSession}${rest}`,
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

/** Short words for journal and notices: "run a command: npm publish". */
export function shortWords({ title, shown }: PermissionQuestion): string {
  const line = shown.replace(/\s+/g, ' ').trim();
  return `${title}: ${line.length > 200 ? `${cutText(line, 200)}…` : line}`;
}

/** The same as Markdown that calls nobody. */
export function markdownWords({ title, shown }: PermissionQuestion): string {
  const line = shown.replace(/\s+/g, ' ').trim();
  return `${title}: ${inlineCode(safeText(line.length > 200 ? `${cutText(line, 200)}…` : line))}`;
}

/** `words`: a no that says more, for Claude; `unclear`: neither a yes nor a no. */
export type Answer = 'once' | 'session' | 'deny' | 'words' | 'unclear';

/** What people mean: an option by number or name, or a yes or no in their own words and language. */
export function readAnswer(text: string, about: Pick<PermissionQuestion, 'grant'>): Answer {
  const choice = readChoice(text, permissionChoices(about));
  if (choice) return answerOf(choice);
  switch (readYesNo(text)) {
    case 'yes':
      return 'once';
    case 'always':
      return about.grant ? 'session' : 'unclear';
    case 'no':
      return 'deny';
    case 'no-because':
      return 'words';
    case 'unclear':
      return 'unclear';
  }
}

/** What one of `permissionChoices` means. */
export function answerOf({ id }: Choice): Answer {
  if (id === ONCE.id) return 'once';
  return id === FOR_SESSION.id ? 'session' : 'deny';
}

/** Asked again in plain words, where the answer was neither a yes nor a no. */
export const SAY_YES_OR_NO =
  'That is neither a clear yes nor a clear no. May it run? Answer yes or no, or choose below. Any other answer counts as a no, and Claude reads it.';

/** @param who answered; null if that is not known */
export function denied(who: string | null, words: string | null): Decision {
  const name = who ?? 'The person who was asked';
  const message =
    words === null
      ? `${name} did not allow this. Do not try it again or another way; continue without it, or say in your answer what you need it for.`
      : `${name} did not allow this, and said: ${words}`;
  return { allowed: false, message };
}

export const EXPIRED: Decision = {
  allowed: false,
  message: `Nobody answered within ${MINUTES_TO_ANSWER} minutes, so this was not allowed. Do not try it again or another way in this turn; continue without it as far as you can, and say in your answer what you would have run and why.`,
};

export const TOO_LONG: Decision = {
  allowed: false,
  message:
    'This call is too long for people to review, so it was not allowed. Do it in smaller steps that can be reviewed one by one.',
};

export const PUSH_UNKNOWN: Decision = {
  allowed: false,
  message: 'The gateway holds no such push back, so nobody was asked about it. It is tried again with the next save.',
};

export const TURN_OVER: Decision = {
  allowed: false,
  message:
    'The turn is over, so nobody can be asked, and this was not allowed. Do what needs permission while the turn runs, not in a background helper.',
};

export const TOO_MANY: Decision = {
  allowed: false,
  message: 'Too many calls are waiting for permission, so this was not allowed. Ask for a few at a time.',
};

/** Told when Claude makes a call again that was not allowed in the same turn. @param message what it was told then */
export function deniedAgain(message: string): Decision {
  return {
    allowed: false,
    message: `This same call was denied earlier in this turn, so people were not asked again. The reason given then: ${message}`,
  };
}

/** The grant that lets a call pass; null: people are asked. */
export function findGrant(grants: Grant[], repository: string | null, { grant }: PermissionQuestion): Grant | null {
  return grants.find((one) => one.repository === repository && one.key === grant?.key) ?? null;
}

export function withGrant(grants: Grant[], grant: Grant): Grant[] {
  return [...grants, grant].slice(-MAX_GRANTS);
}

/** Named in every call, and nothing that is run. */
const NOT_RUN = new Set(['description', 'timeout']);

function callWords(name: string, input: unknown): { title: string; text: string; words: string } {
  const fields: Record<string, unknown> = typeof input === 'object' && input !== null ? { ...input } : { input };
  const named = (key: string) => {
    const value = fields[key];
    return typeof value === 'string' ? value : null;
  };
  const rest = (...keys: string[]) => {
    const others = Object.entries(fields).filter(([key]) => !keys.includes(key) && !NOT_RUN.has(key));
    return others.length === 0 ? '' : `\n\n${others.map(([key, value]) => `${key}: ${plain(value)}`).join('\n\n')}`;
  };
  const command = named('command');
  if (name === 'Bash' && command !== null) {
    return {
      title: 'run a command',
      text: `${command}${rest('command')}`,
      words: 'exactly this command, as often as Claude runs it',
    };
  }
  const ofServer = readMcpToolName(name);
  if (ofServer) {
    const title = `use ${ofServer.tool} of the MCP server ${ofServer.server}`;
    return { title, text: plain(input ?? {}), words: 'exactly this call, as often as Claude makes it' };
  }
  const path = named('file_path') ?? named('notebook_path');
  if (path !== null) {
    const text = `${path}${rest('file_path', 'notebook_path')}`;
    return { title: `use ${name} on a file`, text, words: 'exactly this change, as often as Claude makes it' };
  }
  const text = plain(input ?? {});
  return { title: `use ${name}`, text, words: 'exactly this call, as often as Claude makes it' };
}

function plain(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2);
}
