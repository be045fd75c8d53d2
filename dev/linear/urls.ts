/** Addresses of things in the workspace, laid out as at linear.app, on the simulator's own host. */
import type { AgentSession, Issue, User } from './state/model.ts';
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
    return `${this.issue(this.#world.issue(session.issueId))}#agent-session-${session.id.slice(0, 8)}`;
  }

  comment(issue: Issue, commentId: string): string {
    return `${this.issue(issue)}#comment-${commentId.slice(0, 8)}`;
  }

  user(user: User): string {
    return `${this.#workspace()}/profiles/${user.displayName}`;
  }

  asset(id: string, filename: string): string {
    return `${this.#origin}/uploads/${id}/${encodeURIComponent(filename)}`;
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
