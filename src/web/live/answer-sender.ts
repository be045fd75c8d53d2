/**
 * Answers to the open question. An answer is sent once and never kept: the person who gave it read this question as it was then,
 * and what is asked later may be another one.
 */
import type { Answer } from '../api.ts';

/** `taken`: the server has it; `failed`: it did not count, and why. */
export type AnswerState =
  | { at: 'none' }
  | { at: 'sending'; question: string }
  | { at: 'taken'; question: string }
  | { at: 'failed'; message: string };

/** `options`: ids of those that were chosen; none: `text` is the answer. */
export interface PageAnswer {
  question: string;
  options: string[];
  text: string;
}

export interface AnswerSenderOptions {
  /** Rejects when it is aborted. */
  post: (answer: PageAnswer & { id: string }, signal: AbortSignal) => Promise<Answer<true>>;
  onState: (state: AnswerState) => void;
}

const LOST =
  'The connection was lost, so the answer may not have arrived. If the question is still open, answer again.';

export class AnswerSender {
  readonly #options: AnswerSenderOptions;
  #sending: AbortController | null = null;

  constructor(options: AnswerSenderOptions) {
    this.#options = options;
  }

  /** @returns whether the server took it */
  async send(answer: PageAnswer): Promise<boolean> {
    if (this.#sending) return false;
    const sending = new AbortController();
    this.#sending = sending;
    const { post, onState } = this.#options;
    onState({ at: 'sending', question: answer.question });
    let told: Answer<true> | null;
    try {
      told = await post({ ...answer, id: crypto.randomUUID() }, sending.signal);
    } catch (error) {
      if (!sending.signal.aborted) throw error;
      told = null;
    } finally {
      this.#sending = null;
    }
    if (told?.ok) {
      onState({ at: 'taken', question: answer.question });
      return true;
    }
    onState({ at: 'failed', message: told === null || told.kind === 'unreachable' ? LOST : told.message });
    return false;
  }

  /** The live socket is gone: what is under way is not left to arrive whenever the network is back. */
  connectionLost(): void {
    this.#sending?.abort();
  }
}
