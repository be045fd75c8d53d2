/** How a turn ended, in plain words for people. */
import { BUDGET_MARK } from '../claude-quota/budget.ts';
import type { JournalBody, TurnOutcome } from '../protocol/journal.ts';
import { cutAt } from './bounds.ts';
import { historyTrouble, isAboutImage } from './history.ts';

type Result = Extract<JournalBody, { kind: 'result' }>;

/** What a result means: the outcome, a machine-readable reason, and the text people read. */
export interface Description {
  outcome: TurnOutcome;
  /** E.g. `completed`, `aborted_tools`, `usage_limit_reached`. */
  reason: string;
  /** Markdown: Claude's answer, or what failed, what became of the work and what to do. */
  text: string;
}

/** The limit that is in the way, from the last `rate-limit` entry. `resetsAt` in milliseconds since the epoch. */
export interface KnownLimit {
  limit: string;
  resetsAt: number | null;
  /** Claude's API served requests beyond the plan, for money. */
  beyondPlan?: true;
}

/** The model that was to be used. `from`: who chose it. */
export interface ChosenModel {
  name: string;
  from: 'wish' | 'label' | 'settings';
}

/** What failed, and what a person can do. */
interface Failure {
  what: string;
  todo: string;
}

// Bounded: at most 400 characters from a mark that is rare.
const BUDGET = new RegExp(
  `${BUDGET_MARK}[^"\\\\]{1,400}?\\(CLAUDE_(?:BUDGET_\\w+|PRICES)\\)(?:, or choose another model)?\\.`,
);
const KEPT = 'The work so far is kept on the branch.';
const AGAIN = 'Comment here to try again.';
/** The same request fails the same way until somebody has seen to it. */
const ADMIN = 'Trying again will not help; a Cyrus admin has to fix this.';
const FRESH =
  'Comment “start fresh” to continue in a new conversation, which is told what was done so far. The branch does not change.';
const LATER = 'Comment here in a few minutes to try again.';
/** Longest quotation of what Claude Code itself said about a failure without text of ours. */
const MAX_QUOTE = 600;

/**
 * Describes a result for people. The outcome follows `is_error` and `terminal_reason`, never the subtype; a turn that
 * was aborted is stopped, not failed.
 * @param limit the limit last reported, for the time of its reset; without it the time comes from Claude's own words
 * @param model that was to be used; null: not known
 */
export function describeResult(result: Result, limit?: KnownLimit, model: ChosenModel | null = null): Description {
  const { terminalReason } = result;
  if (terminalReason === 'aborted_tools' || terminalReason === 'aborted_streaming') {
    return { outcome: 'stopped', reason: terminalReason, text: `Stopped before Claude was done. ${KEPT}` };
  }
  if (!result.isError) {
    return { outcome: 'completed', reason: terminalReason, text: result.text.trim() || 'Done.' };
  }
  const reason = terminalReason === 'api_error' ? (result.apiError ?? 'api_error') : terminalReason;
  const { what, todo } = describeFailure(reason, result, limit, model);
  return { outcome: 'failed', reason, text: `${what} ${KEPT} ${todo}` };
}

function describeFailure(
  reason: string,
  result: Result,
  limit: KnownLimit | undefined,
  model: ChosenModel | null,
): Failure {
  // The gateway's own refusal, whichever way Claude Code puts it.
  const budget = BUDGET.exec(result.text)?.[0];
  if (budget) return { what: budget, todo: 'Comment here after that to continue.' };
  const named = namedRefusal(result.text);
  if (named) return named;
  const trouble = historyFailure(result);
  if (trouble) return trouble;
  switch (reason) {
    case 'usage_limit_reached':
      return usageLimit(result.text, limit);
    case 'rate_limit':
      return TOO_MANY;
    case 'authentication_failed':
      return forbidden(result.text) ?? REFUSED_CREDENTIAL;
    case 'oauth_org_not_allowed':
      return {
        what: 'The organization of the Claude account does not allow its subscription to be used this way (OAuth tokens).',
        todo: 'An admin of that organization has to allow it, or a Cyrus admin has to store the credential of another account; then comment here to continue.',
      };
    case 'account_on_hold':
    case 'verification_required':
      return {
        what: 'Anthropic requires something from the owner of the Claude account before it can be used again.',
        todo: 'A Cyrus admin has to sign in to that account and resolve it; then comment here to continue.',
      };
    case 'billing_error':
      return {
        what: 'The credit balance of the Anthropic account is too low.',
        todo: 'A Cyrus admin has to add credit; then comment here to continue.',
      };
    case 'overloaded':
      return { what: `Claude's API is overloaded and kept refusing the request${faultOf(result.text)}.`, todo: LATER };
    case 'server_error':
    case 'api_error': {
      const refused = refusedByStatus(reason, result.text);
      if (refused) return refused;
      return {
        what: `Claude's API failed with an error of its own${faultOf(result.text)}, several times.`,
        todo: LATER,
      };
    }
    case 'connection_failed':
      return { what: "The connection to Claude's API broke off, several times.", todo: LATER };
    case 'timed_out':
      return { what: "Claude's API did not answer in time, several times.", todo: LATER };
    case 'model_not_found':
      return unknownModel(model);
    case 'max_turns':
      return {
        what: 'Claude reached the limit of steps for one turn before it finished.',
        todo: 'Comment here to let it continue.',
      };
    case 'budget_exhausted':
      return { what: 'Claude reached the spending limit for one turn.', todo: 'Comment here to let it continue.' };
    case 'max_output_tokens':
      return { what: "Claude's answer exceeded the maximum length.", todo: 'Comment here and ask for smaller steps.' };
    case 'pdf_too_large':
      return { what: 'A PDF is too large for Claude to read.', todo: 'Comment here without it, or with part of it.' };
    case 'pdf_password_protected':
      return {
        what: 'A PDF is protected by a password.',
        todo: 'Comment here without it, or with an unprotected one.',
      };
    case 'claude_code_version_too_old':
      return {
        what: "The sandbox's Claude Code is too old for Claude's API.",
        todo: 'A Cyrus admin has to update it (npm install, then deploy); then comment here to continue.',
      };
    case 'image_error':
    case 'media_removed':
      return { what: 'Claude could not read an image.', todo: 'Comment here without it, or with a smaller one.' };
    default:
      return unknownFailure(reason, result.text);
  }
}

const REFUSED_CREDENTIAL: Failure = {
  what: "Claude's API does not accept the credential Cyrus was given; it may have expired or been revoked.",
  todo: 'A Cyrus admin has to run `claude setup-token` and store the printed token as CLAUDE_CODE_OAUTH_TOKEN (or a new ANTHROPIC_API_KEY, if that is used); then comment here to continue.',
};

/** A 403 is no matter of the credential unless it says so: the account, the place or the request is what is not allowed. */
function forbidden(said: string): Failure | null {
  if (!/\b403\b/.test(said) || /\b(?:revoked|expired|disabled)\b/i.test(said)) return null;
  const own = /Cyrus (?:does not forward|uses a Claude subscription and refuses) [^\n]{1,400}/.exec(said)?.[0];
  // The CLI may show the answer as the JSON that it is.
  if (own !== undefined) return { what: endWithStop(own.replace(/"\}.*$/s, '').replaceAll('\\"', '"')), todo: ADMIN };
  return {
    what: `Claude's API does not allow this request (HTTP 403)${quoteOf(said, /403\s*/)}.`,
    todo: 'A Cyrus admin has to resolve that with the Claude account; then comment here to continue.',
  };
}

const TOO_MANY: Failure = {
  what: "Claude's API refused the request because of too many requests in a short time.",
  todo: LATER,
};

/** What the API answers to a request that it will not serve is no fault of its own, also where the CLI has no code for it. */
function refusedByStatus(reason: string, said: string): Failure | null {
  const status = /API Error: (?:Request rejected \()?(4\d\d)\b/.exec(said)?.[1];
  switch (status) {
    case undefined:
    case '408':
    case '409':
    case '425':
      return null;
    case '401':
      return REFUSED_CREDENTIAL;
    case '403':
      return forbidden(said) ?? REFUSED_CREDENTIAL;
    case '429':
      return TOO_MANY;
    default:
      return unknownFailure(reason, said);
  }
}

/** What the API itself said, as it follows a statement: ": no such thing"; empty if there is nothing. @param after what is before it */
function quoteOf(said: string, after: RegExp): string {
  const message = /"message":\s*"([^"\\]{1,300})/.exec(said)?.[1] ?? said.split(after)[1] ?? '';
  const words = message.replace(/\s+/g, ' ').trim().replace(/[.]$/, '');
  return words === '' || words.startsWith('{') ? '' : `: ${cutAt(words, MAX_QUOTE)}`;
}

function endWithStop(text: string): string {
  const words = text.replace(/\s+/g, ' ').trim();
  return /[.!?…)]$/.test(words) ? words : `${words}.`;
}

const CHOSEN: Record<ChosenModel['from'], { by: string; todo: string }> = {
  wish: { by: 'which the issue or a comment asks for', todo: 'Comment here with another one' },
  label: { by: 'which a label of the issue asks for', todo: 'Comment here with another one' },
  settings: {
    by: "which the repository's settings or CLAUDE_MODEL name",
    todo: 'A Cyrus admin has to correct that. Or comment here with another one',
  },
};

function unknownModel(model: ChosenModel | null): Failure {
  if (model === null) {
    return {
      what: 'The Claude model Cyrus is set to use does not exist or is not available to this account.',
      todo: 'A Cyrus admin has to correct CLAUDE_MODEL; then comment here to continue.',
    };
  }
  const { by, todo } = CHOSEN[model.from];
  const name = model.name.replaceAll('`', "'");
  return {
    what: `There is no Claude model \`${name}\`, ${by}, or it is not available to this account.`,
    todo: `${todo}, e.g. \`[model=sonnet]\`.`,
  };
}

/** What kind of fault it is, as the API itself says: " (HTTP 500, api_error)". */
function faultOf(said: string): string {
  const status = /API Error: (\d{3})\b/.exec(said)?.[1];
  const kind = /"type":\s*"(\w{1,40}_error)"/.exec(said)?.[1];
  const parts = [status && `HTTP ${status}`, kind].filter((part) => part !== undefined);
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}

/** Requests that the API refuses for something in them that can be named. */
function namedRefusal(said: string): Failure | null {
  const longest = /\btools\.\d+\.(?:custom\.)?name\b.{0,100}?at most (\d{1,4}) char/i.exec(said)?.[1];
  if (longest !== undefined) {
    return {
      what: `The name of a tool of an MCP server is too long: Claude's API takes ${longest} characters, with the server's name in front.`,
      todo: 'A Cyrus admin has to give the server a shorter name, or leave the tool out; then comment here to continue.',
    };
  }
  if (isAboutImage(said)) {
    return {
      what: `Claude's API does not accept an image of this conversation${quoteOf(said, /(?:source[\w.]*|400):?\s+(?=[A-Z]|image|at least)/)}.`,
      todo: `${FRESH} Leave the image out, or make it smaller.`,
    };
  }
  const until = /reached your specified API usage limits?\..{0,40}?\b(?:on|at) (\d{4}-\d{2}-\d{2}[^."]{0,20})/i.exec(
    said,
  )?.[1];
  if (until !== undefined) {
    return {
      what: `The usage limit that was set for the Anthropic account is reached; it ends on ${until.trim()}.`,
      todo: 'Comment here after that to continue, or have a Cyrus admin raise the limit in the Claude Console.',
    };
  }
  if (/extra usage is required|long context requests/i.test(said)) {
    return {
      what: `Claude's API wants paid usage for a conversation of this length${quoteOf(said, /\(?429\)?[\s·]*/)}.`,
      todo: `${FRESH} Or a Cyrus admin has to choose another model.`,
    };
  }
  if (/\bPDF\b.{0,80}\b(?:not valid|invalid|corrupt|could not be (?:read|processed))/i.test(said)) {
    return { what: 'Claude could not read a PDF.', todo: 'Comment here without it, or with one that opens.' };
  }
  return null;
}

function unknownFailure(reason: string, said: string): Failure {
  if (/no conversation found/i.test(said)) {
    return {
      what: 'The earlier conversation could not be found in the sandbox.',
      todo: 'Comment here with what is left to do; Claude reads the branch and starts a new conversation.',
    };
  }
  const quote = said.replace(/\s+/g, ' ').trim();
  const cut = quote.length > MAX_QUOTE ? `${cutAt(quote, MAX_QUOTE)}…` : quote;
  const what =
    cut === '' ? `Claude ended with an error (${reason}).` : `Claude ended with an error (${reason}): ${cut}`;
  return { what: endWithStop(what), todo: canPass(reason, said) ? AGAIN : ADMIN };
}

/** Codes of the CLI for what stays as it is until somebody changes the setup or the request (measured with CLI 2.1.330). */
const LASTING =
  /^(invalid_request|effort_requires_thinking|advisor_incompatible|stored_login_refused|tls_\w+|gateway_\w+|provider_credentials|api_key_auth_disabled|org_disabled_credential|invalid_credential_header|model_substitution_disabled|field_not_granted|model_requires_usage_credits|no_allowed_fallback|hook_denied|startup_failed|request_too_large)$/;

/** Whether a failure may be gone the next time. A request that the API calls wrong stays wrong. */
function canPass(reason: string, said: string): boolean {
  return !LASTING.test(reason) && !/^API Error: (400|404|405|413|422)\b/.test(said);
}

/** The conversation itself is what fails: the next prompt would fail the same way. */
function historyFailure(result: Result): Failure | null {
  switch (historyTrouble(result)) {
    case 'broken':
      return { what: "Claude's API no longer accepts the history of this conversation.", todo: FRESH };
    case 'full':
      return {
        what: "The conversation has become longer than Claude's context window.",
        todo: `${FRESH} Or ask for the rest in a new issue, in smaller steps.`,
      };
    case 'refused':
      return {
        what: "Claude's API refuses to continue this conversation because of its content.",
        todo: `${FRESH} If the request itself is refused, put it another way.`,
      };
    case null:
      return null;
  }
}

const LIMIT_NAMES: Partial<Record<string, string>> = {
  five_hour: '5-hour limit',
  seven_day: 'weekly limit',
  seven_day_opus: 'weekly limit for Opus',
  seven_day_sonnet: 'weekly limit for Sonnet',
  seven_day_overage_included: 'weekly limit',
  overage: 'limit for extra usage',
};

const UNNAMED_LIMIT = 'usage limit';

/** Words for a limit, e.g. "5-hour limit" for `five_hour`; "usage limit" for one not known. */
export function limitName(limit: string): string {
  return (Object.hasOwn(LIMIT_NAMES, limit) && LIMIT_NAMES[limit]) || UNNAMED_LIMIT;
}

function usageLimit(said: string, limit: KnownLimit | undefined): Failure {
  const named = /your (.{1,40}? limit)/.exec(said)?.[1];
  const reported = limit ? limitName(limit.limit) : UNNAMED_LIMIT;
  const name = reported === UNNAMED_LIMIT && named ? named : reported;
  const reset = limit?.resetsAt != null ? atUtc(limit.resetsAt) : resetIn(said);
  return {
    what: `Claude's ${name} is used up${reset === null ? '.' : `; it resets ${reset}.`}`,
    todo: reset === null ? 'Comment here once it has reset to continue.' : 'Comment here after that to continue.',
  };
}

/** "at 01:19 UTC", with the day if that is not obvious from a limit of a few hours. */
function atUtc(time: number): string {
  const iso = new Date(time).toISOString();
  return `at ${iso.slice(11, 16)} UTC on ${iso.slice(0, 10)}`;
}

/** The CLI says "resets 1:19am (UTC)" or "resets Nov 28, 1am (UTC)". */
function resetIn(said: string): string | null {
  const when = /resets (.{1,40}?) \(([\w/+-]{1,40})\)/.exec(said);
  if (when === null) return null;
  const [, time = '', zone = ''] = when;
  const clock = /^(\d{1,2})(?::(\d{2}))?(am|pm)$/.exec(time);
  if (clock === null) return `${time} (${zone})`;
  const hour = (Number(clock[1]) % 12) + (clock[3] === 'pm' ? 12 : 0);
  return `at ${String(hour).padStart(2, '0')}:${clock[2] ?? '00'} ${zone}`;
}
