/**
 * User ids of sessions: one each, kept in a file of the server's root as long as there are files of the session, so that none is ever used
 * by two sessions.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { parseJson } from '../../src/lib/parse-json.ts';
import { Refusal } from '../http.ts';
import { USERS } from './user-range.ts';

const schema = z.object({ next: z.number().int(), users: z.record(z.string(), z.number().int()) });

export class SessionUsers {
  readonly #file: string;
  readonly #first: number;
  #next: number;
  readonly #users = new Map<string, number>();

  /**
   * @param first of the users that are this server's to give, see user-range.ts
   * @throws where the file is there and cannot be read: two sessions could be given one user
   */
  constructor(root: string, first: number) {
    this.#file = join(root, 'users.json');
    this.#first = first;
    this.#next = first;
    let text: string;
    try {
      text = readFileSync(this.#file, 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return;
      throw error;
    }
    const { next, users } = schema.parse(parseJson(text));
    if (this.#isOurs(next)) this.#next = next;
    // One of another range, from before ranges were given out, may be another server's by now: its session gets a new one.
    for (const [id, uid] of Object.entries(users)) if (this.#isOurs(uid)) this.#users.set(id, uid);
  }

  /** The session's user: the one it had, else one that no session has. @throws Refusal 507 where all are taken */
  of(id: string): number {
    const known = this.#users.get(id);
    if (known !== undefined) return known;
    const taken = new Set(this.#users.values());
    for (let tries = 0; tries < USERS; tries++) {
      const uid = this.#next;
      // The longest unused first.
      this.#next = this.#isOurs(uid + 1) ? uid + 1 : this.#first;
      if (taken.has(uid)) continue;
      this.#users.set(id, uid);
      this.#write();
      return uid;
    }
    throw new Refusal(
      507,
      'full',
      `This sandbox server has ${USERS} sessions, which is the limit; remove some of them.`,
    );
  }

  /** No file of the session is left. */
  free(id: string): void {
    if (this.#users.delete(id)) this.#write();
  }

  #isOurs(uid: number): boolean {
    return uid >= this.#first && uid < this.#first + USERS;
  }

  #write(): void {
    writeFileSync(`${this.#file}.new`, JSON.stringify({ next: this.#next, users: Object.fromEntries(this.#users) }), {
      mode: 0o600,
    });
    renameSync(`${this.#file}.new`, this.#file);
  }
}
