/**
 * One session as this page knows it: joins the first pages over HTTP, the live socket, the prompts under way and the
 * outline that is drawn. React reads it through `subscribe` and `getState`; the state is replaced, never changed.
 */
import { z } from 'zod';
import type { SessionView } from '../../protocol/viewer.ts';
import { fetchPage, liveUrl, postPrompt, postStop } from '../api.ts';
import type { Outline } from '../outline/model.ts';
import { outlineOf } from '../outline/outline.ts';
import { retryDelay } from './backoff.ts';
import { type LinkState, LiveConnection } from './connection.ts';
import { delivered, nextToSend, type Outgoing, outgoingSchema, withoutShown } from './outgoing.ts';
import { type Applied, applyFrame, applyPage, emptyTimeline, type Timeline } from './timeline.ts';

/** `loading` until something can be shown; `missing`: no such session; `failing`: not shown yet, and why. */
export type LoadState = { at: 'loading' } | { at: 'failing'; problem: string } | { at: 'shown' } | { at: 'missing' };

/** A stop that was asked for here: until the session's phase tells of it, or what the server answered instead. */
export type StopState = { at: 'none' } | { at: 'asked' } | { at: 'refused'; message: string };

export type SessionState = {
  readonly load: LoadState;
  readonly link: LinkState;
  readonly session: SessionView | null;
  readonly timeline: Timeline;
  readonly outline: Outline;
  readonly outgoing: readonly Outgoing[];
  readonly stop: StopState;
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
      outgoing: readOutgoing(id),
      stop: { at: 'none' },
      skew: 0,
    };
    const wake = () => this.#wake();
    const { signal } = this.#ended;
    window.addEventListener('online', wake, { signal });
    window.addEventListener('offline', wake, { signal });
    window.addEventListener('pageshow', wake, { signal });
    document.addEventListener('visibilitychange', wake, { signal });
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

  /** Asks for the running turn to be stopped. */
  async stop(): Promise<void> {
    if (this.#state.stop.at === 'asked') return;
    this.#set({ stop: { at: 'asked' } });
    const answer = await postStop(this.id, crypto.randomUUID());
    if (!answer.ok) this.#set({ stop: { at: 'refused', message: `Not stopped: ${answer.message}` } });
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
    if (outgoing !== before.outgoing) writeOutgoing(this.id, outgoing);
    const phaseTold = session !== null && session.phase !== before.session?.phase;
    this.#set({
      timeline,
      session,
      outgoing,
      outline: grown ? outlineOf(timeline.entries, before.outline) : before.outline,
      stop: phaseTold ? { at: 'none' } : before.stop,
    });
  }

  #set(change: Partial<SessionState>): void {
    if (this.#ended.signal.aborted) return;
    this.#state = { ...this.#state, ...change };
    for (const listener of this.#listeners) listener();
  }

  #setOutgoing(outgoing: readonly Outgoing[]): void {
    writeOutgoing(this.id, outgoing);
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

/** Prompts of an earlier life of this page (a reload) that were not seen to arrive. */
function readOutgoing(id: string): readonly Outgoing[] {
  try {
    return z.array(outgoingSchema).parse(JSON.parse(sessionStorage.getItem(outgoingKey(id)) ?? '[]'));
  } catch {
    return []; // Storage is forbidden, or holds something else: nothing is pending then.
  }
}

function writeOutgoing(id: string, outgoing: readonly Outgoing[]): void {
  try {
    if (outgoing.length === 0) sessionStorage.removeItem(outgoingKey(id));
    else sessionStorage.setItem(outgoingKey(id), JSON.stringify(outgoing));
  } catch {
    // Without storage a reload forgets prompts that are still under way; they are still sent while the page lives.
  }
}
