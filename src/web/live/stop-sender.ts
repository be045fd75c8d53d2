/** A stop that was pressed on this page: kept, over a reload too, and sent until the server has it or refuses it. */
import * as z from 'zod';
import type { Answer } from '../api.ts';
import { retryDelay } from './connection.ts';

/** `asked`: the server has it; `sending`: not yet, and why where it was tried without success; `refused`: it will not take it. */
export type StopState =
  | { at: 'none' }
  | { at: 'sending'; message?: string }
  | { at: 'asked' }
  | { at: 'refused'; message: string };

/** `at`: when it was pressed, by this machine's clock, in ms since the epoch. */
export const keptStopSchema = z.object({ id: z.uuid(), at: z.number() });
export type KeptStop = z.infer<typeof keptStopSchema>;

/** The server takes a stop that says no age for one that was pressed just now. */
const JUST_NOW_MS = 2_000;

export interface StopSenderOptions {
  post: (stop: { id: string; ageMs?: number }) => Promise<Answer<true>>;
  /** Waits, in ms; cut short when the network may be back. */
  pause: (milliseconds: number) => Promise<void>;
  /** Keeps the stop for a page that is loaded again; null: nothing is to be kept. */
  keep: (stop: KeptStop | null) => void;
  onState: (state: StopState) => void;
  isEnded: () => boolean;
}

export class StopSender {
  readonly #options: StopSenderOptions;
  #isSending = false;

  constructor(options: StopSenderOptions) {
    this.#options = options;
  }

  /** Asks for a stop, unless one is under way. */
  async ask(): Promise<void> {
    await this.send({ id: crypto.randomUUID(), at: Date.now() });
  }

  /** Sends a stop that was asked for, e.g. before the page was loaded again. The server takes it once, by its id. */
  async send(stop: KeptStop): Promise<void> {
    if (this.#isSending) return;
    this.#isSending = true;
    const { post, pause, keep, onState, isEnded } = this.#options;
    keep(stop);
    onState({ at: 'sending' });
    for (let failures = 0; ; failures++) {
      const ageMs = Math.max(0, Math.round(Date.now() - stop.at));
      const answer = await post({ id: stop.id, ...(ageMs > JUST_NOW_MS && { ageMs }) });
      // It is kept: the next life of the page continues.
      if (isEnded()) return;
      if (answer.ok || answer.kind !== 'unreachable') {
        keep(null);
        onState(answer.ok ? { at: 'asked' } : { at: 'refused', message: `Not stopped: ${answer.message}` });
        break;
      }
      onState({ at: 'sending', message: answer.message });
      await pause(retryDelay(failures, Math.random()));
      if (isEnded()) return;
    }
    this.#isSending = false;
  }
}
