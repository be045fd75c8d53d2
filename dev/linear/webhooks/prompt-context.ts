/**
 * The text Linear prepares for a language model when a session is created. XML-like, not XML: what people wrote is in it as
 * they wrote it, which is the worst case for a receiver that would parse it.
 * Source: linear.app/developers/agent-interaction, "promptContext example".
 */
import type { AgentSession, Comment, Document, Issue } from '../state/model.ts';
import { placeOf, type World } from '../state/world.ts';
import { type GuidanceRule, guidanceFor } from './guidance.ts';

/** @returns the `promptContext` of a `created` event */
export function promptContext(world: World, session: AgentSession): string {
  const issue = world.issueOrNull(session.issueId);
  const threads = threadsOf(world, placeOf(session));
  const primaryId = rootOf(world, session.sourceCommentId ?? session.commentId).id;
  const parts = [issue ? issueElement(world, issue) : documentElement(world.document(session.documentId))];
  for (const [rootId, comments] of threads) {
    if (rootId === primaryId) parts.push(threadElement(world, 'primary-directive-thread', rootId, comments));
  }
  for (const [rootId, comments] of threads) {
    const shown = comments.filter((comment) => comment.userId !== null);
    if (rootId !== primaryId && shown.length > 0) parts.push(threadElement(world, 'other-thread', rootId, shown));
  }
  const guidance = guidanceFor(world, session);
  if (guidance.length > 0) parts.push(guidanceElement(guidance));
  return parts.join('\n\n');
}

function issueElement(world: World, issue: Issue): string {
  const project = world.projectOf(issue);
  const lines = [
    `<issue identifier="${attribute(world.identifier(issue))}">`,
    `<title>${issue.title}</title>`,
    ...(issue.description ? [`<description>${issue.description}</description>`] : []),
    `<team name="${attribute(world.teamOf(issue).name)}"/>`,
    ...(project ? [`<project name="${attribute(project.name)}"/>`] : []),
    ...parentElement(world, issue),
    ...world.labelsOf(issue).map((label) => `<label>${label.name}</label>`),
    '</issue>',
  ];
  return lines.join('\n');
}

function parentElement(world: World, { parentId }: Issue): string[] {
  const parent = world.issueOrNull(parentId);
  if (!parent) return [];
  return [
    `<parent-issue identifier="${attribute(world.identifier(parent))}">\n<title>${parent.title}</title>\n</parent-issue>`,
  ];
}

/** Linear does not say what it writes for a document; this is a guess. */
function documentElement({ title, content }: Document): string {
  return `<document title="${attribute(title)}">\n${content}\n</document>`;
}

/** Comments by the id of the one that started their thread; oldest first. */
function threadsOf(world: World, placeId: string): Map<string, Comment[]> {
  const threads = new Map<string, Comment[]>();
  for (const comment of world.commentsOf(placeId)) {
    const rootId = comment.parentId ?? comment.id;
    threads.set(rootId, [...(threads.get(rootId) ?? []), comment]);
  }
  return threads;
}

function threadElement(world: World, name: string, rootId: string, comments: readonly Comment[]): string {
  const elements = comments.map((comment) => {
    const author = world.userOrNull(comment.userId)?.name ?? 'Linear';
    const at = new Date(comment.createdAt).toISOString().slice(0, 19).replace('T', ' ');
    return `<comment author="${attribute(author)}" created-at="${at}">${withMentions(world, comment.body)}</comment>`;
  });
  return `<${name} comment-id="${rootId}">\n${elements.join('\n')}\n</${name}>`;
}

function withMentions(world: World, body: string): string {
  const { id, displayName } = world.appUser;
  return body.replace(mentionOf(displayName), () => `<user id="${id}">${displayName}</user>`);
}

/** Matches `@name` as a word of its own, in any case. */
export function mentionOf(displayName: string): RegExp {
  const name = displayName.replace(/\W/g, '\\$&');
  return new RegExp(`(?<![\\w@/])@${name}(?![\\w-])`, 'gi');
}

function guidanceElement(guidance: readonly GuidanceRule[]): string {
  const rules = guidance.map(({ body, team }) => {
    const origin = team ? `origin="team" team-name="${attribute(team.name)}"` : 'origin="workspace"';
    return `<guidance-rule ${origin}>${body}</guidance-rule>`;
  });
  return `<guidance>\n${rules.join('\n')}\n</guidance>`;
}

function rootOf(world: World, commentId: string): Comment {
  const comment = world.comment(commentId);
  return comment.parentId === null ? comment : world.comment(comment.parentId);
}

function attribute(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');
}
