/**
 * One session as this page knows it: joins the first pages over HTTP, the live socket, the prompts under way and the
 * outline that is drawn. React reads it through `subscribe` and `getState`; the state is replaced, never changed.
 */
import type { JournalEntry } from '../../protocol/journal.ts';
import type { SessionView } from '../../protocol/viewer.ts';
import { type Answer, fetchAfter, fetchBefore, fetchNewest, liveUrl, type Page, postAnswer, postStop } from '../api.ts';
import type { Outline } from '../outline/model.ts';
import { outlineOf } from '../outline/outline.ts';
import { AnswerSender, type AnswerState, type PageAnswer } from './answer-sender.ts';
import { type LinkState, LiveConnection, retryDelay } from './connection.ts';
import type { SavedEntry } from './decode.ts';
import { readKept, writeKept } from './kept.ts';
import { Messages } from './messages.ts';
import type { Outgoing } from './outgoing.ts';
import {
  bounded,
  type MoreState,
  moreState,
  movedTo,
  newerAfter,
  type Reading,
  shownEntries,
  withNewer,
  withOlder,
} from './reading-window.ts';
import { keptStopSchema, StopSender, type StopState } from './stop-sender.ts';
import { type Applied, applyFrame, beginWith, emptyTimeline, type Timeline } from './timeline.ts';

/** `loading` until something can be shown; `missing`: no such session; `failing`: not shown yet, and why. */
export type LoadState = { at: 'loading' } | { at: 'failing'; problem: string } | { at: 'shown' } | { at: 'missing' };

export type SessionState = {
  readonly load: LoadState;
  readonly link: LinkState;
  readonly session: SessionView | null;
  readonly timeline: Timeline;
  /** The entries that are shown: the newest, or those of the past that the reader went to. */
  readonly entries: readonly JournalEntry[];
  /** The reader is back in the past: what is new is not below what they see. */
  readonly isPast: boolean;
  readonly outline: Outline;
  /** The state of reading further, upwards and downwards. */
  readonly older: MoreState;
  readonly newer: MoreState;
  /** The entry that somebody went to last; a new object each time. */
  readonly target: { readonly seq: number } | null;
  /** The newest entry that tells of saved work. */
  readonly saved: SavedEntry | null;
  /** Whether who looks may write to Claude and stop it. */
  readonly mayWork: boolean;
  /** What was written here and the journal does not show yet, in the order in which it is sent. */
  readonly outgoing: readonly Outgoing[];
  readonly stop: StopState;
  readonly answer: AnswerState;
  /** Server's clock minus this one's, ms. */
  readonly skew: number;
};

/** How often a page in the background is brought up to date (its title); a visible one is drawn with each frame. */
const HIDDEN_UPDATE_MS = 500;
/** How often a session that is looked at by a share link is read again, ms. */
const SHARED_EVERY_MS = 5_000;
/** Entries that are read below one that the reader goes to. */
const BELOW_TARGET = 100;

export class SessionStore {
  readonly id: string;
  readonly isShared: boolean;
  readonly messages: Messages;
  #state: SessionState;
  /** What frames have made of the timeline since the state was last published, and where the reader is. */
  #reading: Reading = { timeline: emptyTimeline, past: null };
  /** The reader is at the end. */
  #isFollowing = true;
  /** The entry that the reader asked for last; null: the newest. */
  #wanted: number | null = null;
  readonly #listeners = new Set<() => void>();
  readonly #ended = new AbortController();
  readonly #stopSender: StopSender;
  readonly #answerSender: AnswerSender;
  #connection: LiveConnection | null = null;
  #publishing = false;
  /** Ends each wait that is going on. */
  readonly #pauses = new Set<() => void>();

  /** @param isShared it is looked at by a share link: it is read again and again, and nothing can be done with it */
  constructor(id: string, isShared = false) {
    this.id = id;
    this.isShared = isShared;
    // What is kept for those who may write is not looked at.
    const kept = isShared ? `shared:${id}` : id;
    this.#state = {
      load: { at: 'loading' },
      link: { at: 'connecting', failures: 0, problem: null, since: Date.now() },
      session: null,
      timeline: emptyTimeline,
      entries: [],
      isPast: false,
      older: 'all',
      newer: 'all',
      target: null,
      saved: null,
      mayWork: true,
      outline: outlineOf([]),
      outgoing: [],
      stop: { at: 'none' },
      answer: { at: 'none' },
      skew: 0,
    };
    this.messages = new Messages({
      session: kept,
      situation: () => ({ session: this.#state.session, isLive: this.#state.link.at === 'live' }),
      pause: (milliseconds) => this.#pause(milliseconds),
      onChange: (outgoing) => this.#set({ outgoing }),
      ended: this.#ended.signal,
    });
    this.#state = { ...this.#state, outgoing: this.messages.list() };
    this.#stopSender = new StopSender({
      post: (stop) => postStop(id, stop),
      pause: (milliseconds) => this.#pause(milliseconds),
      keep: (stop) => writeKept(stopKey(kept), stop),
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
    const stop = readKept(stopKey(kept), keptStopSchema);
    if (stop !== null) void this.#stopSender.send(stop);
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

  /** Writes to Claude. @param isForLater after the turn that is at work now */
  prompt(text: string, isForLater = false): void {
    this.#set({ answer: { at: 'none' } });
    this.messages.prompt(text, isForLater);
  }

  /** Asks for the running turn to be stopped; sent until the server has it. */
  async stop(): Promise<void> {
    if (this.#state.stop.at !== 'asked') await this.#stopSender.ask();
  }

  /** Answers the open question, once. @returns whether the server took it */
  async answer(answer: PageAnswer): Promise<boolean> {
    if (this.#state.link.at === 'waiting') {
      const message =
        'There is no connection, so your answer was not sent. Answer when the connection is back, if the question is still open.';
      this.#set({ answer: { at: 'failed', message } });
      return false;
    }
    return this.#answerSender.send(answer);
  }

  /** The reader is at the end, or left it. */
  follow(isFollowing: boolean): void {
    this.#isFollowing = isFollowing;
  }

  /** Reads what comes before the entries that are shown. */
  async readOlder(): Promise<void> {
    const first = shownEntries(this.#reading)[0]?.seq ?? 1;
    if (first <= 1 || this.#state.older === 'loading') return;
    await this.#readMore('older', () => fetchBefore(this.id, first, this.#ended.signal), withOlder);
  }

  /** Reads what follows the part of the past that is shown. */
  async readNewer(): Promise<void> {
    const after = newerAfter(this.#reading);
    if (this.#state.newer === 'loading') return;
    if (after === null) this.#show(withNewer(this.#reading, []));
    else await this.#readMore('newer', () => fetchAfter(this.id, after, this.#ended.signal), withNewer);
  }

  /** Shows an entry, wherever in the journal it is: the entries around it are read, and the view goes there. */
  async goTo(seq: number): Promise<void> {
    this.#wanted = seq;
    if (!this.#state.entries.some((entry) => entry.seq === seq)) await this.#readAround(seq);
    // The reader may have gone elsewhere meanwhile.
    if (this.#wanted !== seq) return;
    if (this.#state.entries.some((entry) => entry.seq === seq)) this.#set({ target: { seq } });
  }

  async #readAround(seq: number): Promise<void> {
    this.#set({ older: 'loading' });
    const answer = await fetchBefore(this.id, seq + BELOW_TARGET, this.#ended.signal).catch(() => null);
    this.#set({ older: answer?.ok ? 'some' : 'failed' });
    if (answer?.ok && this.#wanted === seq) this.#show(movedTo(this.#reading, answer.value.entries));
  }

  /** Shows the newest entries again. */
  goToNewest(): void {
    this.#wanted = null;
    if (this.#state.isPast) this.#show(movedTo(this.#reading, null));
  }

  async #readMore(
    direction: 'older' | 'newer',
    read: () => Promise<Answer<Page>>,
    add: (reading: Reading, entries: readonly JournalEntry[]) => Reading,
  ): Promise<void> {
    this.#set({ [direction]: 'loading' });
    const answer = await read().catch(() => null);
    if (answer?.ok) {
      this.#set({ [direction]: 'some' });
      this.#show(add(this.#reading, answer.value.entries));
    } else this.#set({ [direction]: 'failed' });
  }

  /** The server is there again: what could not be read may be read now. */
  #retryFailedReads(): void {
    const { older, newer } = this.#state;
    if (older === 'failed') this.#set({ older: 'some' });
    if (newer === 'failed') this.#set({ newer: 'some' });
  }

  #show(reading: Reading): void {
    this.#reading = reading;
    this.#publish();
  }

  async #load(): Promise<void> {
    for (let failures = 0; !this.#ended.signal.aborted; failures += 1) {
      const answer = await fetchNewest(this.id, this.#ended.signal).catch(() => null);
      if (answer === null) return; // Closed meanwhile.
      if (answer.ok) {
        const { value: page, skew } = answer;
        this.#state = { ...this.#state, saved: page.saved, mayWork: page.mayWork };
        this.#show({ timeline: beginWith(page), past: null });
        this.#set({ load: { at: 'shown' }, skew });
        break;
      }
      if (answer.kind === 'missing') return this.#set({ load: { at: 'missing' } });
      this.#set({ load: { at: 'failing', problem: answer.message } });
      if (answer.kind === 'refused') return;
      await this.#pause(retryDelay(failures, Math.random()));
    }
    if (this.#ended.signal.aborted) return;
    if (this.isShared) return this.#readAgainAndAgain();
    this.#connection = new LiveConnection({
      open: () => new WebSocket(liveUrl(this.id, this.#reading.timeline.lastSeq)),
      onFrame: (frame) => this.#take(applyFrame(this.#reading.timeline, frame)),
      onState: (link) => {
        this.#set(link.at === 'gone' ? { link, load: { at: 'missing' } } : { link });
        if (link.at !== 'live') return this.#answerSender.connectionLost();
        this.#retryFailedReads();
        this.messages.send();
      },
    });
    this.messages.send();
  }

  /** Share links open no live socket: what is new is asked for. Never rejects. */
  async #readAgainAndAgain(): Promise<void> {
    this.#set({ link: { at: 'live' } });
    for (let failures = 0; !this.#ended.signal.aborted; ) {
      await this.#pause(failures === 0 ? SHARED_EVERY_MS : SHARED_EVERY_MS + retryDelay(failures, Math.random()));
      const { lastSeq } = this.#reading.timeline;
      const answer = await fetchAfter(this.id, lastSeq, this.#ended.signal).catch(() => null);
      if (answer === null) return; // Closed meanwhile.
      if (answer.ok) {
        failures = 0;
        const { session, head, entries } = answer.value;
        this.#take(applyFrame(this.#reading.timeline, { t: 'session', session }));
        this.#take(applyFrame(this.#reading.timeline, { t: 'entries', entries }));
        if (head > this.#reading.timeline.lastSeq) continue;
        this.#set({ link: { at: 'live' } });
      } else if (answer.kind === 'missing') return this.#set({ load: { at: 'missing' } });
      else {
        failures += 1;
        const since = this.#state.link.at === 'waiting' ? this.#state.link.since : Date.now();
        this.#set({ link: { at: 'waiting', failures, problem: answer.message, since } });
      }
    }
  }

  /** Keeps what an applied frame leaves; returns why it was refused, or null. */
  #take(applied: Applied): string | null {
    this.#reading = { ...this.#reading, timeline: applied.timeline };
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
    this.#reading = bounded(this.#reading, this.#isFollowing);
    const { timeline, past } = this.#reading;
    const entries = shownEntries(this.#reading);
    const before = this.#state;
    const { session } = timeline;
    const grown = timeline.entries !== before.timeline.entries;
    const phaseTold = session !== null && session.phase !== before.session?.phase;
    const isChanged = entries !== before.entries;
    this.#set({
      timeline,
      entries,
      isPast: past !== null,
      session,
      saved: grown ? newestSaved(timeline, before) : before.saved,
      outline: isChanged ? outlineOf(entries, before.outline) : before.outline,
      older: moreState(before.older, (entries[0]?.seq ?? 1) > 1, entries[0]?.seq === before.entries[0]?.seq),
      newer: moreState(before.newer, past !== null, entries.at(-1)?.seq === before.entries.at(-1)?.seq),
      // One that is still to be sent was not heard of by the session.
      stop: phaseTold && before.stop.at !== 'sending' ? { at: 'none' } : before.stop,
      answer: before.answer.at === 'taken' && session !== before.session ? { at: 'none' } : before.answer,
    });
    if (grown) this.messages.came(timeline.entries);
    if (session !== before.session) this.messages.send();
  }

  #set(change: Partial<SessionState>): void {
    if (this.#ended.signal.aborted) return;
    this.#state = { ...this.#state, ...change };
    for (const listener of this.#listeners) listener();
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

function newestSaved({ entries }: Timeline, { saved, timeline }: SessionState): SavedEntry | null {
  for (let at = entries.length - 1; at >= 0; at -= 1) {
    const entry = entries[at];
    // What was looked through before brings nothing new.
    if (entry === undefined || entry.seq <= timeline.lastSeq) break;
    if (entry.kind === 'saved') return entry;
  }
  return saved;
}

function stopKey(id: string): string {
  return `cyrus:stop:${id}`;
}
