/** What people write in reviews becomes one request to the same conversation. */
import { type ReviewThread, reviewPrompt } from '../../../claude/review-prompt.ts';
import { cutWhole } from '../../../protocol/text/sendable-text.ts';
import { contextText } from '../issue-context.ts';
import { mayReview } from '../model/admission.ts';
import type { PullRequestSeen, RemarkBy } from '../model/effect-results.ts';
import type { Step } from '../model/transition.ts';
import { safeText } from '../narration/safe-text.ts';
import { prompted } from '../prompts.ts';
import { type AnswerPlace, noReviews, type Reviews } from './following.ts';
import { GATHER_MS } from './news.ts';

/** GitHub's lists may have something later than its time says, by so long at most, in ms. */
const LATE_MS = 3_600_000;
/** Longest part of what was said that an answer in the conversation quotes, in UTF-16 code units. */
const MAX_QUOTE = 300;
/** Requests in a row that may come from bots alone. */
export const MOST_BOT_ROUNDS = 10;
/** Threads that are remembered; of more the newest. */
const MOST_THREADS = 500;

/** What was read of the pull request of this number: what counts begins a turn, or joins the one under way. */
export function remarksRead(step: Step, number: number, read: NonNullable<PullRequestSeen['read']>): void {
  const { following, access } = step.state;
  if (following?.number !== number) return;
  const before = following.reviews ?? noReviews(0);
  // Two looks may have been under way at the same time: the second brings what the first did not.
  const fresh = read.remarks.filter(({ of }) => !before.seen.some(({ id }) => id === of));
  const reviews = withLooked(before, read.looked);
  const more = read.isMore ? step.now + GATHER_MS : reviews.dueAt;
  const allowed = fresh.filter(({ isBot, isNamedBot, person, mayWrite }) =>
    isBot ? isNamedBot : mayReview(access ?? null, person, mayWrite),
  );
  const botRounds = botRoundsAfter(before, allowed);
  step.set({ following: { ...following, reviews: { ...reviews, botRounds, dueAt: more } } });
  tellOthers(step, number, fresh, allowed);
  if (botRounds > MOST_BOT_ROUNDS) tellBots(step, number);
  else if (allowed.length > 0) request(step, number, allowed);
}

function botRoundsAfter({ botRounds = 0 }: Reviews, allowed: readonly RemarkBy[]): number {
  if (allowed.some(({ isBot }) => !isBot)) return 0;
  return allowed.length === 0 ? Math.min(botRounds, MOST_BOT_ROUNDS) : botRounds + 1;
}

/** A bot that reviews each push, or answers each answer, would otherwise keep Claude at work without an end. */
function tellBots(step: Step, number: number): void {
  const text = `Bots reviewed pull request #${number} ${MOST_BOT_ROUNDS} times in a row, so Claude does not work on what they write any more. A review by a person, or a comment there that mentions @cyrus, lets it go on.`;
  step.record({ kind: 'notice', level: 'warning', text });
}

function withLooked(before: Reviews, looked: Reviews['seen']): Reviews {
  const all = [...before.seen, ...looked.filter(({ id }) => !before.seen.some((one) => one.id === id))];
  const since = Math.max(before.since, ...looked.map(({ at }) => at - LATE_MS));
  return { ...before, since, seen: all.filter(({ at }) => at >= since) };
}

/** The page says whose words were not taken up. */
function tellOthers(step: Step, number: number, all: readonly RemarkBy[], allowed: readonly RemarkBy[]): void {
  const names = [...new Set(all.filter((one) => !allowed.includes(one)).map(({ author }) => author))];
  if (names.length === 0) return;
  step.record({
    kind: 'notice',
    level: 'info',
    text: `What ${names.join(', ')} wrote on pull request #${number} was not taken up: they may not give work to Cyrus here.`,
  });
}

function request(step: Step, number: number, remarks: readonly RemarkBy[]): void {
  const { following } = step.state;
  if (!following) return;
  let reviews = following.reviews ?? noReviews(0);
  const threads: ReviewThread[] = [];
  const places: { number: number; place: AnswerPlace }[] = [];
  for (const { place, author, text, earlier } of remarks) {
    const known =
      place.kind === 'thread' ? reviews.threads.find(({ comment }) => comment === place.comment) : undefined;
    const named = known?.number ?? reviews.lastNumber + 1;
    if (!known) reviews = { ...reviews, lastNumber: named };
    if (!known && place.kind === 'thread') {
      const added = { number: named, comment: place.comment };
      reviews = { ...reviews, threads: [...reviews.threads, added].slice(-MOST_THREADS) };
    }
    threads.push({ number: named, author, text, on: place.kind === 'thread' ? place : null, earlier });
    // Somebody may have written twice in a thread: it is answered once.
    if (places.some((one) => one.number === named)) continue;
    const answered: AnswerPlace =
      place.kind === 'thread'
        ? { kind: 'thread', comment: place.comment }
        : { kind: 'conversation', author, quote: cutWhole(text, MAX_QUOTE) };
    places.push({ number: named, place: answered });
  }
  const reviewers = [
    ...new Set(remarks.filter(({ isReview, isBot }) => isReview && !isBot).map(({ author }) => author)),
  ];
  const promptId = step.context.newId();
  step.set({
    following: {
      ...following,
      reviews: { ...reviews, open: [...reviews.open, { promptId, pullRequest: number, places, reviewers }] },
    },
  });
  const context = step.state.context.map(contextText);
  step.keepPrompt(promptId, [...context, reviewPrompt(number, threads)].join('\n\n'));
  const names = [...new Set(remarks.map(({ author }) => author))].join(', ');
  const thread = Object.keys(step.state.agentSessions).at(-1);
  const count = threads.length === 1 ? 'a comment' : `${threads.length} comments`;
  if (thread !== undefined) {
    step.announce(thread, `${safeText(names)} reviewed pull request #${number} on GitHub. Claude gets ${count}.`);
  }
  prompted(step, {
    type: 'prompted',
    promptId,
    agentSessionId: null,
    author: `${names} on GitHub`,
    person: remarks[0]?.person ?? null,
    source: 'comment',
    text: shown(number, threads),
    // It answers no question, whatever is asked at the moment.
    answers: null,
  });
}

/** As page and thread show it. */
function shown(number: number, threads: readonly ReviewThread[]): string {
  const parts = threads.map(({ number: named, author, text, on }) => {
    const place = on === null ? '' : ` on ${on.path}${on.line === null ? '' : `:${on.line}`}`;
    return `Thread ${named}${place}, ${author}: ${text}`;
  });
  return `Review of pull request #${number}\n\n${parts.join('\n\n')}`;
}
