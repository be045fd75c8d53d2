/** Tells open pages what changed, by server-sent events. A burst of changes becomes one message. */
import type { ServerResponse } from 'node:http';
import type { SimulatorClock } from '../clock.ts';
import { sessionStatus } from '../state/session-status.ts';
import { placeOf, type World } from '../state/world.ts';
import type { ControlViews } from './views.ts';

const GATHER_MS = 40;
/** Stands for what is about no issue and no document. */
const STATE = 'state';
/** A session also changes by itself: it becomes unresponsive, or stale. */
const LOOK_AT_CLOCK_MS = 1_000;

export class Live {
  readonly #world: World;
  readonly #clock: SimulatorClock;
  readonly #views: ControlViews;
  readonly #pages = new Set<ServerResponse>();
  readonly #changed = new Set<string>();
  /** Last status told, by session. */
  readonly #told = new Map<string, string>();
  #gathering: NodeJS.Timeout | undefined;
  #looking: NodeJS.Timeout | undefined;

  constructor(world: World, clock: SimulatorClock, views: ControlViews) {
    this.#world = world;
    this.#clock = clock;
    this.#views = views;
    world.onChange((placeId) => this.#change(placeId));
  }

  /** Adds a page; it hears of changes until it goes away. */
  connect(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write('retry: 1000\n\nevent: ready\ndata: {}\n\n');
    this.#pages.add(response);
    this.#looking ??= setInterval(() => this.#lookAtClock(), LOOK_AT_CLOCK_MS);
    response.once('close', () => {
      this.#pages.delete(response);
      if (this.#pages.size === 0) this.#rest();
    });
  }

  close(): void {
    this.#rest();
    for (const page of this.#pages) page.end();
  }

  #rest(): void {
    clearInterval(this.#looking);
    clearTimeout(this.#gathering);
    this.#looking = undefined;
    this.#gathering = undefined;
    this.#changed.clear();
    this.#told.clear();
  }

  #change(placeId: string | null): void {
    if (this.#pages.size === 0) return;
    this.#changed.add(placeId ?? STATE);
    this.#gathering ??= setTimeout(() => this.#tell(), GATHER_MS);
  }

  #tell(): void {
    this.#gathering = undefined;
    const changed = [...this.#changed];
    this.#changed.clear();
    if (changed.includes(STATE)) this.#send('state', [{}]);
    const of = <Item>(items: ReadonlyMap<string, Item>) => changed.flatMap((id) => items.get(id) ?? []);
    this.#send(
      'issues',
      of(this.#world.issues).map((issue) => this.#views.summary(issue)),
    );
    this.#send(
      'documents',
      of(this.#world.documents).map((document) => this.#views.documentSummary(document)),
    );
  }

  #send(event: string, items: readonly object[]): void {
    if (items.length === 0) return;
    const message = `event: ${event}\ndata: ${JSON.stringify(items)}\n\n`;
    for (const page of this.#pages) page.write(message);
  }

  #lookAtClock(): void {
    const now = this.#clock.now();
    for (const session of this.#world.sessions.values()) {
      const { status, unresponsive } = sessionStatus(session, now);
      const seen = `${status} ${unresponsive}`;
      const told = this.#told.get(session.id);
      if (told === seen) continue;
      this.#told.set(session.id, seen);
      if (told !== undefined) this.#change(placeOf(session));
    }
  }
}
