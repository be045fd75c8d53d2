/** What the sandbox server tells Claude itself, besides the prompts of people. */

/** The refusal of a tool on which people are not even asked. */
export const NOT_IN_THIS_SESSION =
  'This session may not do that, and nobody can allow it here: it may only run commands that change nothing, or that its settings name. ' +
  'Do not try another way; continue without it, and say in your answer what you would have done.';

/** What happened to the branch, before a prompt. It has a tag of its own, so that nobody takes it for a person's words. */
export function branchNews(news: string): string {
  return `<cyrus-note>\nWhat happened to the branch outside of this conversation, as of now:\n${news.replaceAll('</cyrus-note', '‹/cyrus-note')}\n</cyrus-note>`;
}

/** Why a turn may not end yet. @param advice what could not be saved, and what to do about it */
export function notYet(advice: string): string {
  return `Cyrus committed and pushed what you did, but not all of it could be saved:\n${advice}\nFix what you can, then end your turn again. If you cannot, say so in your answer.`;
}

/**
 * Helpers worked for too long after Claude's own last message, and were ended.
 * @param names of the helpers, as text
 * @param limitMs for which they may
 * @returns what people are told, and what Claude is told
 */
export function helpersEnded(names: string, limitMs: number): { forPeople: string; forClaude: string } {
  const minutes = Math.max(1, Math.round(limitMs / 60_000));
  const limit = `${minutes} minute${minutes === 1 ? '' : 's'}`;
  return {
    forPeople: `Claude's helpers still worked ${limit} after Claude itself was done, which is the limit, and were ended: ${names}.`,
    forClaude:
      `Cyrus has ended these helpers of yours, because they still worked ${limit} after your last message, which is the limit: ${names}. ` +
      'Look at what they left behind, do not start them again, and say in your answer what is missing as a result.',
  };
}
