/** Addresses of things in the workspace, laid out as at linear.app, on the simulator's own host. */
import type { AgentSession, Comment, Document, Issue, Project, User } from './state/model.ts';
import type { World } from './state/world.ts';

export class LinearUrls {
  readonly #world: World;
  readonly #origin: string;

  /** @param origin where the simulator listens, without a slash at the end */
  constructor(world: World, origin: string) {
    this.#world = world;
    this.#origin = origin;
  }

  issue(issue: Issue): string {
    const slug = slugOf(issue.title);
    return `${this.#workspace()}/issue/${this.#world.identifier(issue)}${slug && `/${slug}`}`;
  }

  session(session: AgentSession): string {
    return `${this.#place(session)}#agent-session-${session.id.slice(0, 8)}`;
  }

  comment(comment: Comment): string {
    return `${this.#place(comment)}#comment-${comment.id.slice(0, 8)}`;
  }

  document({ id, title }: Document): string {
    return `${this.#workspace()}/document/${[slugOf(title), id].filter(Boolean).join('-')}`;
  }

  project({ id, name }: Project): string {
    return `${this.#workspace()}/project/${[slugOf(name), id.slice(0, 8)].filter(Boolean).join('-')}`;
  }

  user(user: User): string {
    return `${this.#workspace()}/profiles/${user.displayName}`;
  }

  asset(id: string, filename: string): string {
    return `${this.#origin}/uploads/${id}/${encodeURIComponent(filename)}`;
  }

  /** Matches addresses of `asset`; the first group is the id. */
  assetPattern(): RegExp {
    const origin = this.#origin.replace(/\W/g, '\\$&');
    return new RegExp(`${origin}/uploads/([0-9a-f-]{36})/[^\\s)"'<>?\\]]*`, 'g');
  }

  #place({ issueId, documentId }: Pick<Comment, 'issueId' | 'documentId'>): string {
    const issue = this.#world.issueOrNull(issueId);
    return issue ? this.issue(issue) : this.document(this.#world.document(documentId));
  }

  #workspace(): string {
    return `${this.#origin}/${this.#world.workspace.urlKey}`;
  }
}

/** "The cart total" → "the-cart-total", at most 50 characters. */
export function slugOf(title: string): string {
  const words = title
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-');
  return words.slice(0, 50).replace(/^-+|-+$/g, '');
}
