/** A life of a program over storage that outlives it. It may end at a crash point, and its clock is turned by the test. */
import type { CrashPoint, Platform, Sql } from '../../../src/kernel/platform.ts';

/** What outlives a life: the storage of a Durable Object, or the one in Node (memory-disk.ts). */
export interface Disk {
  readonly sql: Sql;
  transactionSync(act: () => void): void;
}

/** A clock, and the alarm that is set by it. Both outlive a life. */
export interface World {
  now: number;
  alarmAt: number | null;
  /** A number in [0, 1). */
  random(): number;
}

/** The program ended. Nothing that was not stored is left of it. */
export class Crash extends Error {
  override readonly name = 'Crash';
}

/** The platform of one life. After its end nothing of it reaches the storage or the world. */
export class Life implements Platform {
  readonly #disk: Disk;
  readonly #world: World;
  readonly #endsAt: (point: CrashPoint) => boolean;
  readonly #work = new Set<Promise<unknown>>();
  #ids = 0;
  /** Where it ended; null: it goes on. */
  endedAt: CrashPoint | null = null;
  readonly sql: Sql;

  /** @param endsAt asked at each crash point whether the program ends there */
  constructor(disk: Disk, world: World, endsAt: (point: CrashPoint) => boolean = () => false) {
    this.#disk = disk;
    this.#world = world;
    this.#endsAt = endsAt;
    this.sql = {
      exec: (query, ...bindings) => {
        this.#alive();
        return disk.sql.exec(query, ...bindings);
      },
    };
  }

  transaction(act: () => void): void {
    this.#alive();
    this.#disk.transactionSync(act);
  }

  now(): number {
    return this.#world.now;
  }

  random(): number {
    return this.#world.random();
  }

  newId(): string {
    this.#ids += 1;
    return `${this.#world.now}-${this.#ids}`;
  }

  async setAlarm(at: number): Promise<void> {
    this.#alive();
    this.#world.alarmAt = at;
  }

  waitUntil(work: Promise<unknown>): void {
    this.#work.add(work);
    // What a life that is over still has to do is nobody's any more.
    void work.catch(() => {}).finally(() => this.#work.delete(work));
  }

  reached(point: CrashPoint): void {
    this.#alive();
    if (!this.#endsAt(point)) return;
    this.endedAt = point;
    throw new Crash(`the program ended at ${point}`);
  }

  /** Ends it from outside. */
  end(): void {
    this.endedAt ??= 'after-commit';
  }

  /** Waits until nothing is under way, or what is under way belongs to a life that is over. */
  async idle(): Promise<void> {
    while (this.#work.size > 0 && this.endedAt === null) await Promise.race([...this.#work].map(settled));
  }

  #alive(): void {
    if (this.endedAt !== null) throw new Crash(`the program ended at ${this.endedAt}`);
  }
}

async function settled(work: Promise<unknown>): Promise<void> {
  await work.catch(() => {});
}
