/** The workspaces of a simulator. The first is the one that everything concerns for which no other is named. */
import { RefusedError } from './refused.ts';
import { newWorkspace } from './state/seed.ts';
import type { WorldData } from './state/world.ts';
import { type SharedParts, Workspace } from './workspace.ts';

export class Workspaces {
  readonly first: Workspace;
  readonly #parts: SharedParts;
  readonly #byId = new Map<string, Workspace>();

  /** @param first, others their states, saved or fresh */
  constructor(first: WorldData, others: readonly WorldData[], parts: SharedParts) {
    this.#parts = parts;
    this.first = this.#add(first);
    for (const data of others) this.#add(data);
  }

  /** The first at the front. */
  all(): Workspace[] {
    return [...this.#byId.values()];
  }

  summaries(): { id: string; name: string; urlKey: string }[] {
    return this.all().map((workspace) => workspace.summary());
  }

  byId(id: string): Workspace | undefined {
    return this.#byId.get(id);
  }

  byUrlKey(urlKey: string): Workspace | undefined {
    return this.all().find(({ world }) => world.workspace.urlKey === urlKey);
  }

  /**
   * Makes an empty workspace with one team, in which nothing is installed.
   * @param urlKey how it is called in addresses
   * @throws RefusedError 409 when there is one of that name
   */
  create(name: string, urlKey: string): Workspace {
    if (this.byUrlKey(urlKey)) throw new RefusedError(409, `there is a workspace ${urlKey} already`);
    const workspace = this.#add(newWorkspace(this.#parts.clock.now(), name, urlKey));
    this.#parts.onChange();
    return workspace;
  }

  #add(data: WorldData): Workspace {
    const workspace = new Workspace(data, this.#parts);
    this.#byId.set(data.workspace.id, workspace);
    return workspace;
  }
}
