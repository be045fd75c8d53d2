/** What a session's sandbox is started with: which repository, from which branch, and how Claude works in it. */
import { assign, modelAndEffort, type Wished } from '../../../claude/roles.ts';
import type { Config } from '../../../config/config.ts';
import type { IssueFacts, LinearClient } from '../../../linear/api/client.ts';
import {
  type AccessRules,
  accessRulesSchema,
  type WorkspaceSettings,
} from '../../../protocol/settings/access-rules.ts';
import { type BranchFacts, branchByTemplate } from '../../../protocol/settings/branch-template.ts';
import { placementOf } from '../../../sandbox/choose.ts';
import { listRepositories, type RepositorySummary } from '../../../store/workspaces/repositories.ts';
import { readWorkspaceSettings } from '../../../store/workspaces/workspace-settings.ts';
import { type Access, refusalOf } from '../../lifecycle/model/admission.ts';
import type { Arrangement } from '../../lifecycle/model/directives.ts';
import type { Refused, Unsure } from '../../lifecycle/model/effect-results.ts';
import { currentTurn } from '../../lifecycle/model/phases.ts';
import type { Issue } from '../../lifecycle/model/state.ts';
import { baseOf } from '../../lifecycle/start/base-branch.ts';
import { type Route, route } from '../../lifecycle/start/match-repository.ts';
import { vouchedDescription } from '../../lifecycle/start/wish-edits.ts';
import { repositoryWish } from '../../lifecycle/start/wishes.ts';
import { SetupError, type Surroundings } from '../effect-context.ts';
import { unfitBase } from './base-wish.ts';
import { choiceWords, wishedEffort, wishedIn, wishedModel } from './start-wishes.ts';

/** What the start works with: which repository, from which branch, and how. */
export interface Plan {
  repository: RepositorySummary;
  branch: string;
  /** What the branch is named by, if that is decided now; null: it was before. */
  branchFacts: BranchFacts | null;
  baseBranch: string;
  /** The base that the issue names; null: the repository's own, whatever that is by now. */
  baseWish: string | null;
  /** Where that base is named, where it is known. */
  baseWishBy?: 'issue' | 'comment';
  arrangement: Arrangement;
  access: Access;
  /** What was chosen, and why, for people; left out if this start chose nothing. */
  choice?: string;
  /** The setup script that is set for the workspace. */
  workspaceScript: string | undefined;
}

/** Where it runs and what it may reach is as it is set now, also for a session that began before. */
export function placed<Other extends { kind: string }>(plan: Plan | Other, config: Config): Plan | Other {
  if ('kind' in plan) return plan;
  const { settings } = plan.repository;
  const placement = placementOf(settings, config);
  return { ...plan, arrangement: { ...plan.arrangement, placement, egress: settings.egress } };
}

/**
 * Decides what the start works with, by the settings, the issue and what people said.
 * @param onReading called before the issue is read
 * @returns the plan; or that a person has to say which repository it is; or why nobody who asked may
 * @throws SetupError, LinearError, DatabaseError
 */
export async function planFor(
  surroundings: Surroundings,
  linear: LinearClient,
  onReading: (repositories: RepositorySummary[], workspace: WorkspaceSettings) => void,
): Promise<Plan | Unsure | Refused> {
  const { state, database, config } = surroundings;
  const [repositories, { setupScript: workspaceScript, ...workspace }] = await Promise.all([
    listRepositories(database, state.workspaceId),
    readWorkspaceSettings(database, state.workspaceId),
  ]);
  const known = repositories.find((repository) => repository.fullName === state.repository);
  if (known && state.arrangement && state.access) {
    const team = await teamNow(state.issue, state.access.team, linear);
    const access: Access = { workspace, repository: rulesOf(known), team };
    const text = refusalOfAll(state, access);
    if (text !== null) return { kind: 'refused', text, access };
    const corrected = await correctedBase(surroundings, known, access, linear);
    const base = corrected ?? baseOf(state, known);
    const isAsked = corrected !== null || currentTurn(state)?.baseAnswered === true;
    const problem = isAsked ? await unfitBase(base.baseWish, known, access, surroundings) : null;
    if (problem) return problem;
    const arrangement = await withModelNow(surroundings, state.arrangement, { known, access, linear });
    const isAnother = base.baseBranch !== state.baseBranch && isAsked;
    const { model, effort } = state.arrangement.assignment;
    const isOther = arrangement.assignment.model !== model || arrangement.assignment.effort !== effort;
    const choice = isAnother || isOther ? choiceWords(known, base, arrangement, {}) : null;
    return {
      repository: known,
      // Decided at the first start, whatever the template says by now.
      branch: state.branch,
      branchFacts: null,
      ...base,
      arrangement,
      access,
      ...(choice !== null && { choice }),
      workspaceScript,
    };
  }
  if (!known && state.repository !== null && state.arrangement) throw removed(state.repository);
  onReading(repositories, workspace);
  const facts = state.issue ? await linear.issueFacts(state.issue.id) : NO_FACTS;
  const team = facts.team && { ...facts.team, id: facts.team.id ?? state.issue?.teamId ?? null };
  const general: Access = { workspace, repository: null, team };
  const refusal = refusalOfAll(state, general);
  if (refusal !== null) return { kind: 'refused', text: refusal, access: general };
  const chosen = known
    ? { repository: known, ...baseOf(state, known), because: 'a person said so' }
    : await choose(surroundings, repositories, facts, general, linear);
  if ('kind' in chosen) return { ...chosen, access: general };
  const access: Access = { ...general, repository: rulesOf(chosen.repository) };
  const text = refusalOfAll(state, access);
  if (text !== null) return { kind: 'refused', text, access };
  const { because, ...work } = chosen;
  const { repository } = work;
  const { settings } = repository;
  const problem = await unfitBase(work.baseWish, repository, access, surroundings);
  if (problem) return problem;
  const texts = await wishedIn(surroundings, facts.description, access, linear);
  const wished = { model: wishedModel(texts), effort: wishedEffort(texts) };
  const branchFacts = {
    identifier: nameOf(state),
    title: state.issue?.title ?? '',
    branchName: facts.branchName ?? null,
  };
  const arrangement: Arrangement = {
    assignment: assign(facts.labels, settings, config.claude.model, wished),
    ...wishesKept(wished),
    verbosity: settings.verbosity,
    repositories: repositories.map(({ fullName }) => fullName),
  };
  const { ignored } = vouchedDescription(facts.description, state.wishEdits ?? [], access);
  // What could not have been otherwise is no choice to tell of.
  const isChoice =
    repositories.length > 1 ||
    work.baseBranch !== repository.baseBranch ||
    Object.keys(wishesKept(wished)).length > 0 ||
    ignored !== null;
  return {
    ...work,
    ...(isChoice && { choice: choiceWords(repository, work, arrangement, { because, ignored }) }),
    branch: branchByTemplate(settings.branchTemplate, branchFacts),
    branchFacts,
    access,
    workspaceScript,
    arrangement,
  };
}

/** The issue's team as it is now: it may have been moved, and rules are about where it is. @throws LinearError */
async function teamNow(issue: Issue | null, before: Access['team'], linear: LinearClient): Promise<Access['team']> {
  if (!issue) return before;
  if (issue.team) return issue.team;
  if (issue.teamId === null || issue.teamId === before?.id) return before;
  return (await linear.issueNow(issue.id)).team;
}

/** The model and the effort that labels and wishes of now ask for; the role stays what was decided at first. @throws SetupError, LinearError */
async function withModelNow(
  surroundings: Surroundings,
  arrangement: Arrangement,
  { known, access, linear }: { known: RepositorySummary; access: Access; linear: LinearClient },
): Promise<Arrangement> {
  const { state, config } = surroundings;
  const texts = await wishedIn(surroundings, null, access, linear);
  const wished = {
    model: wishedModel(texts) ?? arrangement.wished ?? null,
    effort: wishedEffort(texts) ?? arrangement.wishedEffort ?? null,
  };
  const labels = state.issue?.labels;
  const kept = wishesKept(wished);
  if (!labels) {
    const { model, effort } = wished;
    const assignment = {
      ...arrangement.assignment,
      ...(model !== null && { model }),
      ...(effort !== null && { effort }),
    };
    return { ...arrangement, assignment, ...kept };
  }
  const { effort: _, ...before } = arrangement.assignment;
  const chosen = modelAndEffort(before.role, labels, known.settings, config.claude.model, wished);
  return { ...arrangement, assignment: { ...before, ...chosen }, ...kept };
}

/** What an arrangement keeps of what people wished for. */
function wishesKept({ model, effort }: Wished): Pick<Arrangement, 'wished' | 'wishedEffort'> {
  return { ...(model !== null && { wished: model }), ...(effort !== null && { wishedEffort: effort }) };
}

/**
 * The base that a comment of this turn names for the repository in which the session works: a wish that was wrong can be put right.
 * @returns null if none does. @throws SetupError where it names another repository, LinearError
 */
async function correctedBase(
  surroundings: Surroundings,
  known: RepositorySummary,
  access: Access,
  linear: LinearClient,
): Promise<Pick<Plan, 'baseBranch' | 'baseWish' | 'baseWishBy'> | null> {
  const turn = currentTurn(surroundings.state);
  // Later starts of a turn go on with what its first one found.
  if (!turn || turn.startedAs !== undefined || turn.losses > 0 || turn.baseAnswered) return null;
  const comments = (await wishedIn(surroundings, null, access, linear)).filter(({ isIssue }) => !isIssue);
  const wish = comments.map(({ text }) => repositoryWish(text)).findLast((one) => one !== null);
  if (wish?.kind !== 'named') return null;
  const named = wish.name.toLowerCase();
  const own = known.fullName.toLowerCase();
  if (named !== own && !(!named.includes('/') && own.endsWith(`/${named}`))) {
    throw new SetupError(
      `the comment names the repository ${wish.name}, and this session works in ${known.fullName}, where its branch and its conversation are`,
      `Give Cyrus another issue with \`[repo=${wish.name}]\` for work in that one; comment without the tag to continue here.`,
    );
  }
  const baseWish = wish.branch === known.baseBranch ? null : wish.branch;
  return { baseBranch: baseWish ?? known.baseBranch, baseWish, baseWishBy: 'comment' };
}

/** The rules among a repository's settings, to be kept with the session. */
function rulesOf({ settings }: RepositorySummary): AccessRules {
  return accessRulesSchema.parse(settings);
}

/** Why none of those who asked for this turn may, as the first of them is told; null where one may, or the turn was let in. */
function refusalOfAll({ phase }: Surroundings['state'], access: Access): string | null {
  if (phase.name !== 'starting' || phase.turn.losses > 0) return null;
  const asked = phase.turn.prompts.filter(({ agentSessionId }) => agentSessionId !== null);
  const refusals = asked.map(({ person }) => refusalOf(access, person));
  return refusals.every((refusal) => refusal !== null) ? (refusals[0] ?? null) : null;
}

const NO_FACTS: IssueFacts = { description: '', labels: [], project: null, team: null };

async function choose(
  surroundings: Surroundings,
  repositories: RepositorySummary[],
  facts: IssueFacts,
  access: Access,
  linear: LinearClient,
): Promise<
  | (Pick<Plan, 'repository' | 'baseBranch' | 'baseWish' | 'baseWishBy'> & { because: string })
  | Extract<Route, { kind: 'unsure' }>
> {
  const { state } = surroundings;
  const wishing = await wishedIn(surroundings, facts.description, access, linear);
  const texts = wishing.map(({ text }) => text);
  const isIssues = wishing.findLast(({ text }) => repositoryWish(text) !== null)?.isIssue ?? true;
  const routing = { ...facts, texts };
  let chosen: Route = route(routing, repositories, []);
  if (chosen.kind === 'unsure' && chosen.why === undefined && state.issue) {
    const hosts = repositories.map(({ fullName, cloneUrl }) => ({ fullName, hostname: new URL(cloneUrl).hostname }));
    // A guess of Linear's is a help, not a need: without it people are asked.
    const suggestions = await linear.suggestRepositories(state.issue.id, hosts).catch(() => []);
    chosen = route(routing, repositories, suggestions);
  }
  switch (chosen.kind) {
    case 'unsure':
      return chosen;
    case 'none':
      throw new SetupError(
        'no repository is configured for this workspace',
        'Ask a Cyrus admin to add one (`npm run repositories -- add`, or the admin API), then comment to try again.',
      );
    case 'unknown':
      throw new SetupError(
        `${isIssues ? 'the issue' : 'a comment'} names the repository ${chosen.fullName}, which is not configured for this workspace`,
        `Name one of ${chosen.known.join(', ')}, or ask an admin to add it; then comment to try again.`,
      );
    case 'chosen': {
      const { fullName, baseBranch, because } = chosen;
      const repository = repositories.find((candidate) => candidate.fullName === fullName);
      if (repository) {
        const baseWish = baseBranch === repository.baseBranch ? null : baseBranch;
        return { repository, baseBranch, baseWish, baseWishBy: isIssues ? 'issue' : 'comment', because };
      }
      throw new SetupError(`the repository ${fullName} has just been removed`, 'Comment to try again.');
    }
  }
}

/** Its conversation and its branch are of that repository: in another one it would go on with what is not there. */
function removed(fullName: string): SetupError {
  return new SetupError(
    `the repository ${fullName}, in which this session works, is no longer set up for this workspace`,
    'Ask a Cyrus admin to add it again, then comment to continue; for another repository, use another issue.',
  );
}

/** What a session's branch is named by where its issue has no identifier. */
function nameOf({ issue, branch, id }: Surroundings['state']): string {
  return issue?.identifier || (/^cyrus\/([^/]+)$/.exec(branch)?.[1] ?? id.slice(0, 8));
}
