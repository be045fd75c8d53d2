/** What the agent does to issues: issueUpdate, attachments, and asking which repository an issue belongs to. */
import { z } from 'zod';
import { seesTeam } from '../conversation.ts';
import { conflict, invalidArgument, notFound, notSimulated } from '../errors.ts';
import { changeIssue, type IssueChanges } from '../issue-changes.ts';
import { emit, type Simulation } from '../simulation.ts';
import type { Attachment, Issue } from '../state/model.ts';
import { newIssue } from '../state/seed.ts';
import { clientId } from './client-id.ts';

const UPDATABLE = new Set(['title', 'description', 'stateId', 'delegateId', 'assigneeId']);

/**
 * issueUpdate, for title, description, state, delegate and assignee.
 * @throws LinearError when something referred to is unknown, or when another field is given
 */
export function updateIssue(simulation: Simulation, reference: string, input: Record<string, unknown>): Issue {
  const { world } = simulation;
  const issue = world.findIssue(reference);
  if (!issue) throw notFound('Issue', reference);
  for (const key of Object.keys(input)) {
    if (!UPDATABLE.has(key)) throw notSimulated(`${key} in issueUpdate`);
  }
  const changes: IssueChanges = input;
  const { stateId, delegateId, assigneeId } = changes;
  if (stateId !== undefined && !world.teamOf(issue).states.some((state) => state.id === stateId)) {
    throw notFound('WorkflowState', String(stateId));
  }
  if (delegateId && !world.users.get(delegateId)?.app) throw notFound('User', delegateId);
  if (assigneeId && !world.users.has(assigneeId)) throw notFound('User', assigneeId);
  if (changes.title === '' || changes.title === null) throw invalidArgument('title', 'minLength', 'must not be empty');
  changeIssue(simulation, issue, changes, world.appUser);
  return issue;
}

const CREATABLE = new Set(['id', 'teamId', 'title', 'description', 'createAsUser']);

/**
 * issueCreate, by the app.
 * @throws LinearError when the id is taken, the team is unknown, the title is empty, or another field is given
 */
export function createIssue(simulation: Simulation, input: Record<string, unknown>): Issue {
  const { world, clock, payloads } = simulation;
  for (const key of Object.keys(input)) if (!CREATABLE.has(key)) throw notSimulated(`${key} in issueCreate`);
  const { id: given, teamId, title, description } = creatableSchema.parse(input);
  const team = world.teams.get(teamId);
  if (!team || !seesTeam(simulation, teamId)) throw notFound('Team', teamId);
  if (title.trim() === '') throw invalidArgument('title', 'minLength', 'must not be empty');
  if (title.length > 255) throw invalidArgument('title', 'maxLength', 'must not be longer than 255 characters');
  const id = clientId(given);
  if (world.issues.has(id)) throw conflict('Issue', id);
  const issue = { ...newIssue(team, clock.now(), { title, description, creatorId: world.appUser.id }), id };
  world.addIssue(issue);
  world.changed(id);
  emit(simulation, payloads.issueCreated(issue, world.appUser));
  return issue;
}

const creatableSchema = z.object({
  id: z.string().nullish(),
  teamId: z.string(),
  title: z
    .string()
    .nullish()
    .transform((text) => text ?? ''),
  description: z.string().nullable().default(null),
});

/** Linear links as a pull request only what is one by its address. @throws LinearError */
export function mustBePullRequest(url: string): void {
  const isOne = URL.canParse(url) && /^\/[^/]+\/[^/]+\/pull\/\d+\/?$/.test(new URL(url).pathname);
  if (!isOne) throw invalidArgument('url', 'isGitHubPullRequest', 'url must be the address of a GitHub pull request');
}

/** attachmentLinkURL and attachmentLinkGitHubPR. The same address on the same issue is the same attachment. */
export function linkAttachment(
  { world, clock }: Simulation,
  input: { issueId: string; url: string; title?: string | null; id?: string | null },
): Attachment {
  const issue = world.findIssue(input.issueId);
  if (!issue) throw notFound('Issue', input.issueId);
  if (!URL.canParse(input.url)) throw invalidArgument('url', 'isUrl', 'url must be a URL');
  const id = clientId(input.id);
  if (world.attachments.has(id)) throw conflict('Attachment', id);
  const title = input.title ?? input.url;
  const existing = world.attachmentsOf(issue.id).find((attachment) => attachment.url === input.url);
  if (existing) {
    existing.title = title;
    world.changed(issue.id);
    return existing;
  }
  const attachment = { id, issueId: issue.id, url: input.url, title, createdAt: clock.now() };
  world.addAttachment(attachment);
  world.changed(issue.id);
  return attachment;
}

export interface RepositorySuggestion {
  repositoryFullName: string;
  hostname: string;
  confidence: number;
}

/**
 * issueRepositorySuggestions. Linear's model guesses; here a repository is the likelier the more words of its name stand
 * in the issue's title, description, labels or team. Likeliest first; confidence is 0 to 1. A test may say what is suggested.
 */
export function suggestRepositories(
  { world }: Simulation,
  reference: string,
  candidates: readonly { hostname: string; repositoryFullName: string }[],
): RepositorySuggestion[] {
  const issue = world.findIssue(reference);
  if (!issue) throw notFound('Issue', reference);
  if (world.suggestedRepositories) {
    const asked = new Set(candidates.map(({ hostname, repositoryFullName }) => `${hostname}/${repositoryFullName}`));
    return world.suggestedRepositories.filter((one) => asked.has(`${one.hostname}/${one.repositoryFullName}`));
  }
  const labels = world.labelsOf(issue).map((label) => label.name);
  const said = new Set(wordsOf([issue.title, issue.description, world.teamOf(issue).name, ...labels].join(' ')));
  return candidates
    .map(({ hostname, repositoryFullName }) => {
      const words = wordsOf(repositoryFullName.split('/').at(-1) ?? '');
      const found = words.filter((word) => said.has(word)).length;
      const share = words.length === 0 ? 0 : found / words.length;
      return { repositoryFullName, hostname, confidence: Math.round((0.1 + 0.85 * share) * 100) / 100 };
    })
    .sort((one, other) => other.confidence - one.confidence);
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[a-z0-9]+/g) ?? [];
}
