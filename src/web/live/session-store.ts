/**
 * One session as this page knows it: joins the first pages over HTTP, the live socket, the prompts under way and the
 * outline that is drawn. React reads it through `subscribe` and `getState`; the state is replaced, never changed.
 */
import * as z from 'zod';
import type { SessionView } from '../../protocol/viewer.ts';
import { fetchPage, liveUrl, postAnswer, postPrompt, postStop } from '../api.ts';
import type { Outline } from '../outline/model.ts';
import { outlineOf } from '../outline/outline.ts';
import { AnswerSender, type AnswerState, type PageAnswer } from './answer-sender.ts';
import { type LinkState, LiveConnection, retryDelay } from './connection.ts';
import { delivered, nextToSend, type Outgoing, outgoingSchema, withoutShown } from './outgoing.ts';
import { type KeptStop, keptStopSchema, StopSender, type StopState } from './stop-sender.ts';
import { type Applied, applyFrame, applyPage, emptyTimeline, type Timeline } from './timeline.ts';

/** `loading` until something can be shown; `missing`: no such session; `failing`: not shown yet, and why. */
export type LoadState = { at: 'loading' } | { at: 'failing'; problem: string } | { at: 'shown' } | { at: 'missing' };

export type SessionState = {
  readonly load: LoadState;
  readonly link: LinkState;
  readonly session: SessionView | null;
  readonly timeline: Timeline;
  readonly outline: Outline;
  readonly outgoing: readonly Outgoing[];
  readonly stop: StopState;
  readonly answer: AnswerState;
  /** Server's clock minus this one's, ms. */
  readonly skew: number;
};

/** How often a page in the background is brought up to date (its title); a visible one is drawn with each frame. */
const HIDDEN_UPDATE_MS = 500;
/** How often a long journal is drawn while it is being read. */
const LOADING_UPDATE_MS = 1000;

export class SessionStore {
  readonly id: string;
  #state: SessionState;
  /** What frames have made of the timeline since the state was last published. */
  #timeline: Timeline = emptyTimeline;
  readonly #listeners = new Set<() => void>();
  readonly #ended = new AbortController();
  readonly #stopSender: StopSender;
  readonly #answerSender: AnswerSender;
  #connection: LiveConnection | null = null;
  #publishing = false;
  #sending = false;
  /** Ends each wait that is going on. */
  readonly #pauses = new Set<() => void>();

  constructor(id: string) {
    this.id = id;
    this.#state = {
      load: { at: 'loading' },
      link: { at: 'connecting' },
      session: null,
      timeline: emptyTimeline,
      outline: outlineOf([]),
      outgoing: readKept(outgoingKey(id), z.array(outgoingSchema)) ?? [],
      stop: { at: 'none' },
      answer: { at: 'none' },
      skew: 0,
    };
    this.#stopSender = new StopSender({
      post: (stop) => postStop(id, stop),
      pause: (milliseconds) => this.#pause(milliseconds),
      keep: (stop) => writeKept(stopKey(id), stop),
      onState: (stop) => this.#set({ stop }),
      isEnded: () => this.#ended.signal.aborted,
    });
    this.#answerSender = new AnswerSender({
      post: (answer, signal) => postAnswer(id, answer, signal),
      onState: (answer) => this.#set({ answer }),
    });
    const wake = () => this.#wake();
    const { signal } = this.#ended;
    window.addEventListener('online', wake, { signal });
    window.addEventListener('offline', wake, { signal });
    window.addEventListener('pageshow', wake, { signal });
    document.addEventListener('visibilitychange', wake, { signal });
    const kept = readKept(stopKey(id), keptStopSchema);
    if (kept !== null) void this.#stopSender.send(kept);
    void this.#load();
  }

  readonly getState = (): SessionState => this.#state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Ends everything this store does. */
  close(): void {
    this.#ended.abort();
    for (const resolve of this.#pauses) resolve();
    this.#connection?.close();
  }

  /** Prompts Claude: shown at once, sent until the server has it. */
  prompt(text: string): void {
    const prompt: Outgoing = { id: crypto.randomUUID(), text, at: Date.now(), state: 'sending' };
    this.#set({ answer: { at: 'none' } });
    this.#setOutgoing([...this.#state.outgoing, prompt]);
    void this.#send();
  }

  /** Sends a refused prompt again. */
  resend(id: string): void {
    this.#setOutgoing(delivered(this.#state.outgoing, id, { state: 'sending' }));
    void this.#send();
  }

  /** Forgets a refused prompt. */
  discard(id: string): void {
    this.#setOutgoing(this.#state.outgoing.filter((prompt) => prompt.id !== id));
  }

  /** Asks for the running turn to be stopped; sent until the server has it. */
  async stop(): Promise<void> {
    if (this.#state.stop.at !== 'asked') await this.#stopSender.ask();
  }

  /** Answers the question that stands, once. @returns whether the server took it */
  async answer(answer: PageAnswer): Promise<boolean> {
    if (this.#state.link.at === 'waiting') {
      const message =
        'There is no connection, so your answer was not sent. Answer when the connection is back, if the question is still open.';
      this.#set({ answer: { at: 'failed', message } });
      return false;
    }
    return this.#answerSender.send(answer);
  }

  async #load(): Promise<void> {
    let failures = 0;
    let publishedAt = 0;
    while (!this.#ended.signal.aborted) {
      const answer = await fetchPage(this.id, this.#timeline.lastSeq, this.#ended.signal).catch(() => null);
      if (answer === null) return; // Closed meanwhile.
      if (!answer.ok) {
        if (answer.kind === 'missing') return this.#set({ load: { at: 'missing' } });
        if (this.#state.load.at !== 'shown') this.#set({ load: { at: 'failing', problem: answer.message } });
        if (answer.kind === 'refused') return;
        await this.#pause(retryDelay(failures++, Math.random()));
        continue;
      }
      failures = 0;
      const { value: page, skew } = answer;
      const applied = applyPage(this.#timeline, page);
      this.#timeline = applied.timeline;
      // What a page leaves out (or tells wrongly) comes over the socket.
      const last = !applied.ok || page.entries.length === 0 || this.#timeline.lastSeq >= page.head;
      // The first page is shown at once; of a long journal not each further one is worth a drawing.
      if (last || Date.now() - publishedAt >= LOADING_UPDATE_MS) {
        this.#publish();
        publishedAt = Date.now();
      }
      if (this.#state.load.at !== 'shown') this.#set({ load: { at: 'shown' }, skew });
      if (last) break;
    }
    if (this.#ended.signal.aborted) return;
    this.#connection = new LiveConnection({
      open: () => new WebSocket(liveUrl(this.id, this.#timeline.lastSeq)),
      onFrame: (frame) => this.#take(applyFrame(this.#timeline, frame)),
      onState: (link) => {
        this.#set(link.at === 'gone' ? { link, load: { at: 'missing' } } : { link });
        if (link.at === 'live') void this.#send();
        else this.#answerSender.connectionLost();
      },
    });
    void this.#send();
  }

  /** Keeps what an applied frame leaves; returns why it was refused, or null. */
  #take(applied: Applied): string | null {
    this.#timeline = applied.timeline;
    this.#publishSoon();
    return applied.ok ? null : applied.problem;
  }

  /** Many frames, one drawing. Frames of animation do not come to hidden pages, whose title shall still be right. */
  #publishSoon(): void {
    if (this.#publishing) return;
    this.#publishing = true;
    const publish = () => {
      if (!this.#publishing) return;
      this.#publishing = false;
      this.#publish();
    };
    if (document.hidden) setTimeout(publish, HIDDEN_UPDATE_MS);
    else {
      requestAnimationFrame(publish);
      setTimeout(publish, HIDDEN_UPDATE_MS); // The page may be hidden before the frame comes.
    }
  }

  #publish(): void {
    const timeline = this.#timeline;
    const before = this.#state;
    const grown = timeline.entries !== before.timeline.entries;
    const { session } = timeline;
    const outgoing = grown ? withoutShown(before.outgoing, timeline.entries) : before.outgoing;
    if (outgoing !== before.outgoing) writeKept(outgoingKey(this.id), outgoing);
    const phaseTold = session !== null && session.phase !== before.session?.phase;
    this.#set({
      timeline,
      session,
      outgoing,
      outline: grown ? outlineOf(timeline.entries, before.outline) : before.outline,
      // One that is still to be sent was not heard of by the session.
      stop: phaseTold && before.stop.at !== 'sending' ? { at: 'none' } : before.stop,
      answer: before.answer.at === 'taken' && session !== before.session ? { at: 'none' } : before.answer,
    });
  }

  #set(change: Partial<SessionState>): void {
    if (this.#ended.signal.aborted) return;
    this.#state = { ...this.#state, ...change };
    for (const listener of this.#listeners) listener();
  }

  #setOutgoing(outgoing: readonly Outgoing[]): void {
    writeKept(outgoingKey(this.id), outgoing);
    this.#set({ outgoing });
  }

  async #send(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    let failures = 0;
    for (let next = nextToSend(this.#state.outgoing); next !== null; next = nextToSend(this.#state.outgoing)) {
      const { id, text } = next;
      const answer = await postPrompt(this.id, { id, text });
      if (this.#ended.signal.aborted) return;
      if (answer.ok) this.#setOutgoing(delivered(this.#state.outgoing, id, { state: 'accepted' }));
      else if (answer.kind === 'unreachable') {
        this.#setOutgoing(delivered(this.#state.outgoing, id, { state: 'sending', message: answer.message }));
        await this.#pause(retryDelay(failures++, Math.random()));
      } else this.#setOutgoing(delivered(this.#state.outgoing, id, { state: 'refused', message: answer.message }));
    }
    this.#sending = false;
  }

  /** Waits; `wake` and `close` cut it short. */
  async #pause(milliseconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, milliseconds);
    this.#pauses.add(resolve);
    await promise;
    clearTimeout(timer);
    this.#pauses.delete(resolve);
  }

  #wake(): void {
    if (document.hidden) return;
    for (const resolve of this.#pauses) resolve();
    this.#connection?.wake();
  }
}

function outgoingKey(id: string): string {
  return `cyrus:outgoing:${id}`;
}

function stopKey(id: string): string {
  return `cyrus:stop:${id}`;
}

/** What an earlier incarnation of this page (before a reload) did not see arrive; null: nothing. */
function readKept<T>(key: string, schema: z.ZodType<T>): T | null {
  try {
    return schema.parse(JSON.parse(sessionStorage.getItem(key) ?? 'null'));
  } catch {
    return null; // Storage is forbidden, or holds something else: nothing is pending then.
  }
}

function writeKept(key: string, kept: readonly Outgoing[] | KeptStop | null): void {
  try {
    if (kept === null || (Array.isArray(kept) && kept.length === 0)) sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, JSON.stringify(kept));
  } catch {
    // Without storage a reload forgets what is still under way; it is still sent while the page lives.
  }
}
