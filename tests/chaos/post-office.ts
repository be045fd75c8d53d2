/**
 * What lies between Linear and the Worker: deliveries are lost, their answers are lost, they come twice, late and out of
 * order. What was lost is repeated by the simulator itself, byte for byte, as Linear does.
 */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Random } from '../unit/support/random.ts';
import type { RunClock } from './run-clock.ts';

/** Longest a delivery is held back, in ms of the run's clock; past it the simulator has given up waiting. */
const LONGEST_DELAY_MS = 25_000;

/** Longest wait for the Worker's answer, in real ms. */
const PATIENCE_MS = 10_000;

interface Letter {
  headers: Record<string, string>;
  body: string;
}

/** The post of one history. */
export class Mailbox {
  readonly counts = { attempts: 0, duplicates: 0, lost: 0, answersLost: 0, delayed: 0 };
  readonly random: Random;
  /** What was sent so far, each delivery once. */
  readonly sent = new Map<string, Letter>();
  readonly attempts = new Map<string, number>();
  /** Copies under way. */
  underway = 0;

  constructor(random: Random) {
    this.random = random;
  }
}

export class PostOffice {
  readonly #clock: RunClock;
  /** Where the Worker takes deliveries. */
  readonly #target: () => string;
  readonly #server: Server;
  readonly #boxes = new Map<string, Mailbox>();
  /** Attempts of all histories. */
  attempts = 0;

  private constructor(clock: RunClock, target: () => string) {
    this.#clock = clock;
    this.#target = target;
    this.#server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const letter = { headers: kept(request.headers), body: Buffer.concat(parts).toString() };
        const box = this.#boxes.get(request.url ?? '');
        const answered = box ? this.#carry(box, letter) : Promise.resolve(404);
        void answered.then((status) => response.writeHead(status).end());
      });
    });
  }

  static async open(clock: RunClock, target: () => string): Promise<PostOffice> {
    const office = new PostOffice(clock, target);
    await new Promise<void>((resolve) => office.#server.listen(0, '127.0.0.1', resolve));
    return office;
  }

  /** Where a history's simulator sends its deliveries. */
  addressFor(name: string, box: Mailbox): string {
    this.#boxes.set(`/${name}`, box);
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/${name}`;
  }

  forget(name: string): void {
    this.#boxes.delete(`/${name}`);
  }

  /** Linear repeats a delivery that was taken in long ago. @returns the Worker's answer; 0 where there was none */
  async repeat(box: Mailbox, { headers, body }: Letter): Promise<number> {
    box.counts.duplicates += 1;
    return this.#post(copyOf({ headers, body }, box.random.chance(0.3)));
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #carry(box: Mailbox, letter: Letter): Promise<number> {
    const { random, counts } = box;
    const id = letter.headers['linear-delivery'] ?? '';
    const attempt = (box.attempts.get(id) ?? 0) + 1;
    box.attempts.set(id, attempt);
    box.sent.set(id, letter);
    counts.attempts += 1;
    this.attempts += 1;
    // The second try comes after a minute, the third after an hour, which is late enough.
    if (attempt > 2) return this.#insist(letter);
    const trouble = attempt === 1 ? 0.2 : 0.06;
    if (random.chance(trouble / 2)) {
      counts.lost += 1;
      return 503;
    }
    if (random.chance(0.15)) {
      counts.duplicates += 1;
      box.underway += 1;
      const late = random.chance(0.5) ? 0 : random.next() * 4 * LONGEST_DELAY_MS;
      const copy = copyOf(letter, random.chance(0.2));
      void this.#clock
        .sleep(late)
        .then(() => this.#post(copy))
        .then(() => {
          box.underway -= 1;
        });
    }
    if (random.chance(0.3)) {
      counts.delayed += 1;
      await this.#clock.sleep(random.next() * LONGEST_DELAY_MS);
    }
    const status = await this.#post(letter);
    if (status === 200 && random.chance(trouble / 2)) {
      counts.answersLost += 1;
      return 504;
    }
    return status === 0 ? 502 : status;
  }

  /** Delivers, however often the Worker is down or breaks down. */
  async #insist(letter: Letter): Promise<number> {
    for (;;) {
      const status = await this.#post(letter);
      if (status === 200) return status;
      await this.#clock.sleep(1_000);
    }
  }

  async #post({ headers, body }: Letter): Promise<number> {
    try {
      const response = await fetch(this.#target(), {
        method: 'POST',
        headers,
        body,
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
      await response.arrayBuffer();
      return response.status;
    } catch {
      return 0;
    }
  }
}

/** @param isRenumbered only its content tells that it is a copy */
function copyOf({ headers, body }: Letter, isRenumbered: boolean): Letter {
  return { headers: isRenumbered ? { ...headers, 'linear-delivery': randomUUID() } : headers, body };
}

/** The headers that Linear sets. */
function kept(headers: IncomingHttpHeaders): Record<string, string> {
  const names = Object.entries(headers).filter(([name]) => name.startsWith('linear-') || name === 'content-type');
  return Object.fromEntries(names.map(([name, value]) => [name, String(value)]));
}
