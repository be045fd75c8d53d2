/**
 * User ids of sessions: one each, kept in a file of the server's root as long as there are files of the session, so that none is ever used
 * by two sessions.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { parseJson } from '../../src/lib/parse-json.ts';
import { Refusal } from '../http/http-error.ts';
import { FIRST_UID, UIDS } from './walls.ts';

const schema = z.object({ next: z.number().int(), users: z.record(z.string(), z.number().int()) });

export class SessionUsers {
  readonly #file: string;
  #next = FIRST_UID;
  readonly #users = new Map<string, number>();

  /** @throws where the file is there and cannot be read: two sessions could be given one user */
  constructor(root: string) {
    this.#file = join(root, 'users.json');
    let text: string;
    try {
      text = readFileSync(this.#file, 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return;
      throw error;
    }
    const { next, users } = schema.parse(parseJson(text));
    this.#next = next;
    for (const [id, uid] of Object.entries(users)) this.#users.set(id, uid);
  }

  /** The session's user: the one it had, else one that no session has. @throws Refusal 507 where all are taken */
  of(id: string): number {
    const known = this.#users.get(id);
    if (known !== undefined) return known;
    const taken = new Set(this.#users.values());
    for (let tries = 0; tries < UIDS; tries++) {
      const uid = this.#next;
      // The longest unused first.
      this.#next = uid + 1 < FIRST_UID + UIDS ? uid + 1 : FIRST_UID;
      if (taken.has(uid)) continue;
      this.#users.set(id, uid);
      this.#write();
      return uid;
    }
    throw new Refusal(
      507,
      'full',
      `This sandbox server has ${UIDS} sessions, which is the limit; remove some of them.`,
    );
  }

  /** No file of the session is left. */
  free(id: string): void {
    if (this.#users.delete(id)) this.#write();
  }

  #write(): void {
    writeFileSync(`${this.#file}.new`, JSON.stringify({ next: this.#next, users: Object.fromEntries(this.#users) }), {
      mode: 0o600,
    });
    renameSync(`${this.#file}.new`, this.#file);
  }
}
