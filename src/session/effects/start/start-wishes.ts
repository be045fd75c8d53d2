/** What people wish for, as far as it counts: in the issue and in what was asked by those who may give work; and what was chosen, in words. */
import { requestIn } from '../../../claude/prompts.ts';
import { effortNamed, modelNamed, modelNames } from '../../../claude/roles.ts';
import type { LinearClient } from '../../../linear/api/client.ts';
import { type Effort, effortSchema } from '../../../protocol/settings/repository.ts';
import { displayName } from '../../../protocol/text/clean-text.ts';
import type { RepositorySummary } from '../../../store/workspaces/repositories.ts';
import { requestWithAuthor } from '../../inbound/unread-request.ts';
import { toPerson } from '../../inbound/webhook-to-event.ts';
import { type Access, refusalOf } from '../../lifecycle/model/admission.ts';
import type { Arrangement, Person } from '../../lifecycle/model/directives.ts';
import { currentTurn } from '../../lifecycle/model/phases.ts';
import { isReview } from '../../lifecycle/pull-request/following.ts';
import { vouchedDescription } from '../../lifecycle/start/wish-edits.ts';
import { effortWish, modelWish, spokenModel } from '../../lifecycle/start/wishes.ts';
import type { Surroundings } from '../effect-context.ts';
import { SetupError } from '../effect-context.ts';

/** A text in which a wish may stand; `isIssue`: the issue's own, else a comment. */
export interface Wishing {
  text: string;
  isIssue: boolean;
}

/**
 * The texts in which a wish may stand, oldest first: the issue as it reads now, then what was asked for this turn by those who may.
 * What others wrote around it is no wish, and neither is what a review on GitHub says.
 */
export async function wishedIn(
  { state, promptText }: Surroundings,
  description: string | null,
  access: Access,
  linear: LinearClient,
): Promise<Wishing[]> {
  const prompts = (currentTurn(state)?.prompts ?? []).filter(
    ({ person, promptId }) => refusalOf(access, person) === null && !isReview(state.following, promptId),
  );
  const asked = await Promise.all(
    prompts.map(async ({ promptId }) => {
      const { prompt, by } = await requestWithAuthor(promptText(promptId) ?? '', linear);
      // Linear names the comment only now: its author must be allowed to ask, too.
      const author = by && toPerson(by);
      return author && refusalOf(access, author) !== null ? null : requestIn(prompt);
    }),
  );
  const requests = asked.filter((request) => request !== null);
  const ofIssue =
    description === null
      ? requests.filter(({ isIssue }) => isIssue)
      : [{ text: vouchedDescription(description, state.wishEdits ?? [], access).text, isIssue: true }];
  return [...ofIssue, ...requests.filter(({ isIssue }) => !isIssue)];
}

/** The model that was wished for last. @throws SetupError if nobody knows it */
export function wishedModel(texts: Wishing[]): string | null {
  const inWords = ({ text, isIssue }: Wishing) => (isIssue ? null : spokenModel(text, modelNames));
  const wish = texts.map((one) => modelWish(one.text) ?? inWords(one)).findLast((one) => one !== null) ?? null;
  if (wish === null) return null;
  const model = modelNamed(wish);
  if (model !== null) return model;
  throw new SetupError(
    `the issue or a comment asks for the model "${wish}", which Cyrus does not know`,
    `Comment with one of ${modelNames.map((name) => `\`[model=${name}]\``).join(', ')}, or with a full name such as \`[model=claude-sonnet-5]\`.`,
  );
}

/** The effort that was wished for last. @throws SetupError if there is no such effort */
export function wishedEffort(texts: Wishing[]): Effort | null {
  const wish = texts.map(({ text }) => effortWish(text)).findLast((one) => one !== null) ?? null;
  if (wish === null) return null;
  const effort = effortNamed(wish);
  if (effort !== null) return effort;
  throw new SetupError(
    `the issue or a comment asks for the effort "${wish}", which Claude does not have`,
    `Comment with one of ${effortSchema.options.map((name) => `\`[effort=${name}]\``).join(', ')}.`,
  );
}

/** What was chosen, and why. @param how `because`: of the repository, where that was chosen now; `ignored`: whose wish does not count */
export function choiceWords(
  { fullName, baseBranch: own }: RepositorySummary,
  { baseBranch }: { baseBranch: string },
  { assignment, wished, wishedEffort }: Arrangement,
  { because, ignored = null }: { because?: string; ignored?: Person | null },
): string {
  const why = because === undefined ? '' : `, because ${because}`;
  const base = baseBranch === own ? '' : ' (as asked)';
  const asked = (wish: unknown) => (wish === undefined ? '' : ' (as asked)');
  const effort = assignment.effort === undefined ? '' : `, effort ${assignment.effort}${asked(wishedEffort)}`;
  const who = ignored?.name ? displayName(ignored.name) : 'Somebody';
  const left = `${who} changed what the description asks for, but may not give work to Cyrus, so Cyrus ignores that.`;
  return [
    `Working in ${fullName}${why}.`,
    `Base branch \`${baseBranch}\`${base}, model ${assignment.model}${asked(wished)}${effort}.`,
    ...(ignored === null ? [] : [left]),
  ].join(' ');
}
