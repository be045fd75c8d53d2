/**
 * The issue session: one Durable Object for each Linear issue. A thin shell around session/lifecycle/reduce.ts: it takes events in, in
 * one transaction each (dedupe, journal, state, outbox), then carries out effects and tells viewers.
 */
import { DurableObject } from 'cloudflare:workers';
import type { Config } from '../config.ts';
import { closedFor, type Standing } from '../gateway/openings.ts';
import { asError } from '../lib/error.ts';
import { settledWithin } from '../lib/timeout.ts';
import { LinearClient } from '../linear/api/client.ts';
import { sendThrough } from '../linear/api/send.ts';
import { log } from '../observability/log.ts';
import type { FoundEntries, SessionPage } from '../protocol/api.ts';
import type { CheckpointManifest } from '../protocol/checkpoint.ts';
import type { EgressLine, EgressPage } from '../protocol/egress-log.ts';
import type { HeldPush } from '../protocol/held-push.ts';
import { asUnreadable, type EventBatch } from '../protocol/sandbox.ts';
import { PAGE_PROTOCOL, protocolMismatch } from '../protocol/version.ts';
import { CLOSE_NO_SUCH_SESSION, CLOSE_PROTOCOL, type SessionView } from '../protocol/viewer.ts';
import { sandboxFor } from '../sandbox/choose.ts';
import { type Database, findWorkspace, openDatabase } from '../store/database.ts';
import { lastConfig, settledConfig } from '../store/settings.ts';
import { toFailure } from './effects/failure.ts';
import { attempt } from './effects/perform.ts';
import type { Accepted, Delivery, Ingested, NotedCheckpoint } from './inbound/delivery.ts';
import { setBack, setForward } from './lifecycle/clock-moves.ts';
import type { Failure } from './lifecycle/effects/failure.ts';
import { isGivenUp, retryPolicy } from './lifecycle/effects/index.ts';
import { intakeAt, refusalOfIntake } from './lifecycle/intake.ts';
import { contextBeside, contextText, saidBy } from './lifecycle/issue-context.ts';
import { withNews } from './lifecycle/issue-news.ts';
import { plausibleTime } from './lifecycle/model/clock-time.ts';
import { isSilenceTrouble, nextDeadline } from './lifecycle/model/deadlines.ts';
import type { EffectResult } from './lifecycle/model/effect-results.ts';
import type { Effect } from './lifecycle/model/effects.ts';
import type { MetSecret, SessionEvent } from './lifecycle/model/events.ts';
import { standingOf, UNREADABLE } from './lifecycle/model/standing.ts';
import { initialState, type SessionState } from './lifecycle/model/state.ts';
import type { StepContext, Transition } from './lifecycle/model/transition.ts';
import { closedAnswer } from './lifecycle/questions/open-question.ts';
import { fence, reduce } from './lifecycle/reduce.ts';
import { isHeldByPause } from './lifecycle/start/pause.ts';
import { needsPlace } from './lifecycle/start/queue-slot.ts';
import { SandboxCheck } from './sandbox-check.ts';
import { EgressLog } from './storage/egress-log.ts';
import { Journal } from './storage/journal.ts';
import { Outbox, type Pending } from './storage/outbox.ts';
import { type PushedCommit, PushedCommits } from './storage/pushed-commits.ts';
import { Deliveries } from './storage/seen-deliveries.ts';
import { StateStore } from './storage/state-store.ts';
import { StoredCheckpoint } from './storage/stored-checkpoint.ts';
import { storedSecret } from './storage/stored-secret.ts';
import { createTables, hasTables, problemOf, updateTables } from './storage/tables.ts';
import { AssetMemory } from './storage/uploaded-assets.ts';
import { Audience, type Written } from './viewers/broadcast.ts';
import { findEntries } from './viewers/find-entries.ts';
import { askedIn, type ReadOnly, readOnly, readOnlyView } from './viewers/read-only.ts';
import { viewOf } from './viewers/session-view.ts';

/** Key under which the workspace's name is kept, for the page. */
const WORKSPACE_NAME = 'workspace-name';
/** Key of the commit at which the session's branch stands on the git host. */
const PUSHED_TIP = 'pushed-tip';
/** The last patch of a head that the git host does not have, as `UnpushedPatch`. */
const UNPUSHED_PATCH = 'unpushed-patch';
/** A page waits no longer than this for the workspace's name. */
const NAME_LIMIT_MS = 2_000;
/** How often a start that a pause holds back looks whether it is over, in case a notification was lost. */
const PAUSE_POLL_MS = 60_000;
/** How often a read-only session is woken: by then a version that knows it may be deployed. */
const LOOK_AGAIN_MS = 10 * 60_000;

interface UnpushedPatch {
  turn: number;
  head: string;
}

export class IssueSession extends DurableObject<Env> {
  /** As it is set for the workspace, read early in each life of the object, and again before a start. */
  #config: Config;
  #hasSettings = false;
  /** Bytes that were stored in an hour, as counted in this life of the object. */
  #stored: { hour: number; bytes: number } | null = null;
  readonly #assets: AssetMemory;
  readonly #checkpoint: StoredCheckpoint;
  readonly #deliveries: Deliveries;
  readonly #egress: EgressLog;
  readonly #pushed: PushedCommits;
  readonly #journal: Journal;
  readonly #outbox: Outbox;
  readonly #store: StateStore;
  readonly #audience: Audience;
  #state: SessionState | null;
  /** Set where what is stored cannot be gone on from; `#state` is null then. */
  #readOnly: ReadOnly | null = null;
  #workspaceName = '';
  #alarmAt: number | null = null;
  #isMoving = false;
  /** The clock seemed to be set forward when the object was awake last. */
  #isDoubted = false;
  readonly #sandboxCheck: SandboxCheck;
  readonly #holds: (effect: Effect) => boolean;

  /** @param holds effects that are not carried out; the platform gives none, benchmarks that measure the intake alone give all */
  constructor(ctx: DurableObjectState, env: Env, holds: (effect: Effect) => boolean = () => false) {
    super(ctx, env);
    this.#holds = holds;
    this.#config = lastConfig(env, null);
    const { sql } = ctx.storage;
    this.#assets = new AssetMemory(ctx.storage.kv);
    this.#checkpoint = new StoredCheckpoint(ctx.storage);
    this.#deliveries = new Deliveries(sql);
    this.#egress = new EgressLog(sql);
    this.#pushed = new PushedCommits(sql);
    this.#journal = new Journal(sql);
    this.#outbox = new Outbox(sql);
    this.#store = new StateStore(sql);
    this.#audience = new Audience(ctx, this.#journal, (state) => this.#view(state));
    this.#sandboxCheck = new SandboxCheck({
      state: () => this.#state,
      sandboxOf: (state) => {
        const secretCopy = storedSecret(ctx.storage.kv);
        const where = { env, config: this.#config, database: this.#database(), secretCopy, state };
        return sandboxFor(where, state.id, state.sandbox.generation);
      },
      onGone: (generation) => this.#sandboxGone(generation),
    });
    this.#state = this.#load();
    if (!this.#state) return;
    this.#config = lastConfig(env, this.#state.workspaceId);
    this.#workspaceName = ctx.storage.kv.get<string>(WORKSPACE_NAME) ?? '';
    // An alarm set by the last life may have been lost with it; what it left behind is due now.
    this.#arm();
  }

  /**
   * Reads what is stored. What cannot be gone on from makes the session read-only; nothing is thrown, for an object whose
   * constructor throws cannot say what is wrong.
   * @returns null: nothing is stored, or the session is read-only
   */
  #load(): SessionState | null {
    const { storage } = this.ctx;
    let stored: unknown = null;
    let why: string | null;
    try {
      if (!hasTables(storage.sql)) return null;
      why = problemOf(updateTables(storage));
      const loaded = this.#store.load();
      if (loaded === null) return null;
      stored = loaded.stored;
      if (why === null && loaded.state.ok) {
        this.#outbox.load(Date.now());
        return loaded.state.value;
      }
      if (!loaded.state.ok) why = loaded.state.why;
    } catch (error) {
      why = `its storage cannot be read (${asError(error).message})`;
    }
    this.#readOnly = readOnly(this.ctx.id.toString(), stored, why ?? '');
    log('session.storage.unreadable', { ...this.#named(), why });
    return null;
  }

  /**
   * Takes in what a person asked, durably, before it returns. A delivery seen before changes nothing.
   * `no-such-session`: nothing has begun here, and this delivery does not begin anything.
   */
  accept(delivery: Delivery): Accepted {
    if (this.#readOnly) return this.#refuse(this.#readOnly, delivery);
    const now = Date.now();
    const isFirst = this.#state === null;
    const state = this.#state ?? this.#begin(delivery, now);
    if (!state) return 'no-such-session';
    const { issueNews } = delivery;
    if (!isFirst && issueNews && withNews(state, issueNews) !== state) {
      // By itself, because it holds whatever becomes of the rest: the newest news counts, in whatever order they come.
      this.#commit(() => ({ state, event: { type: 'issue-told', news: issueNews } }));
    }
    let closed: string | null = null;
    const outcome = this.#commit(() => {
      if (isFirst) createTables(this.ctx.storage);
      const { event, promptText } = delivery;
      const late = closedAnswer(state, event);
      if (late !== null) {
        // The repeat of an answer that was taken is no late one.
        closed = this.#deliveries.knows(delivery.deliveryId) ? null : late;
        return null;
      }
      if (!this.#deliveries.note(delivery.deliveryId, delivery.contentKey, now)) return null;
      if ('promptId' in event && promptText) {
        const text = isFirst ? promptText.first : promptText.followUp;
        const { commentId } = event;
        const beside = contextBeside(
          state.context,
          commentId ? { commentId } : { said: saidBy(event.person?.id ?? null, event.text) },
        );
        this.#store.keepPrompt(event.promptId, [...beside.map(contextText), text].join('\n\n'));
      }
      return { state: this.#state ?? state, event };
    });
    if (closed !== null) return { closed };
    return outcome ? 'accepted' : 'duplicate';
  }

  /** Takes in a batch of the sandbox's events; answers when they are durable. */
  ingest(batch: EventBatch): Ingested {
    if (this.#readOnly) return { kind: 'read-only', message: this.#readOnly.words };
    const state = this.#state;
    const closed = closedFor('report', this.standing(batch.generation), []);
    if (closed || !state) return { kind: 'superseded', message: closed?.message ?? 'there is no such session' };
    const refusal = fence(state, batch);
    if (refusal) return { kind: 'superseded', message: refusal.message };
    this.#takeIn(state, batch);
    const now = this.#state ?? state;
    const isAwaited = isSilenceTrouble(now);
    return { kind: 'stored', stored: now.sandbox.cursor, watched: this.#audience.isThere, isAwaited };
  }

  /** The sandbox posted nothing for some seconds. @returns when to look again unless it posts, in ms; null: there is no need */
  async lookAfterSandbox(): Promise<number | null> {
    return await this.#sandboxCheck.look();
  }

  /**
   * Counts bytes that are about to be stored for the session; they are kept with the next event that is.
   * @returns why they may not be, in words; null where they may
   */
  takeBytes(bytes: number): string | null {
    const counted = intakeAt(this.#state?.intake, Date.now());
    const stored = this.#stored?.hour === counted.hour ? this.#stored.bytes : 0;
    const known = Math.max(stored, counted.stored);
    const most = this.#config.sessionBytesAnHour;
    const why = refusalOfIntake({ ...counted, stored: known }, 'stored', bytes, most);
    if (why === null) this.#stored = { hour: counted.hour, bytes: known + bytes };
    return why;
  }

  /** What was counted in this hour, and how much it may be. An hour that is over counts no more. */
  #counted(): { stored?: number; mostBytes: number } {
    const { hour } = intakeAt(undefined, Date.now());
    const isNews = this.#stored?.hour === hour;
    return {
      ...(isNews && this.#stored && { stored: this.#stored.bytes }),
      mostBytes: this.#config.sessionBytesAnHour,
    };
  }

  /** One event that cannot be taken in, whatever is wrong with it, keeps neither those after it nor the turn from going on. */
  #takeIn(state: SessionState, batch: EventBatch): void {
    try {
      this.#commit(() => ({ state, event: { type: 'sandbox-reported', batch, ...this.#counted() } }));
    } catch (error) {
      log('session.batch.failed', { ...this.#named(), events: batch.events.length, error: asError(error) });
      if (batch.events.length === 0) throw error;
      for (const event of batch.events) this.#takeInAlone(batch, event);
    }
  }

  #takeInAlone(batch: EventBatch, event: EventBatch['events'][number]): void {
    const take = (one: typeof event) =>
      this.#commit(() =>
        this.#state
          ? { state: this.#state, event: { type: 'sandbox-reported', batch: { ...batch, events: [one] } } }
          : null,
      );
    try {
      take(event);
    } catch (error) {
      log('session.event.failed', { ...this.#named(), type: event.type, error: asError(error) });
      take(asUnreadable(event, asError(error).message));
    }
  }

  /** From now on another sandbox goes on from this checkpoint; its objects are stored. */
  noteCheckpoint(manifest: CheckpointManifest): NotedCheckpoint {
    if (this.#readOnly) return { kind: 'read-only', message: this.#readOnly.words };
    const state = this.#state;
    const closed = closedFor('checkpoint', this.standing(manifest.generation), []);
    if (closed || !state) return { kind: 'superseded', message: closed?.message ?? 'there is no such session' };
    const { generation, sequence, eventSeq, prompts } = manifest;
    const at = plausibleTime(manifest.at, Date.now());
    if (generation !== state.sandbox.generation || manifest.conversationId !== state.conversationId) {
      return { kind: 'superseded', message: 'a newer generation of this session has taken over' };
    }
    const before = this.#checkpoint.get();
    if (before?.generation === generation && before.sequence >= sequence) {
      return { kind: 'stale', sequence: before.sequence };
    }
    // What it comprises has to be in the journal, or Claude would remember what nobody can read.
    if (eventSeq > state.sandbox.cursor) return { kind: 'superseded', message: 'events before it are missing' };
    this.#commit(() => {
      this.#checkpoint.put(manifest);
      return { state, event: { type: 'checkpointed', checkpoint: { generation, sequence, at, eventSeq, prompts } } };
    });
    return { kind: 'noted', before };
  }

  /** The platform says that the sandbox of this life has ended, and its disk with it. */
  noteSandboxEnded(generation: number): void {
    const state = this.#state;
    if (state) this.#commit(() => ({ state, event: { type: 'sandbox-ended', generation } }));
  }

  /** The state of the session, for a token of this life of the sandbox. */
  standing(generation: number): Standing {
    return this.#readOnly ? UNREADABLE : standingOf(this.#state, generation, Date.now());
  }

  /** The session and a part of its journal: a SessionPage as JSON text; null if there is no such session. */
  async page(after: number, limit: number): Promise<string | null> {
    const session = await this.#shown();
    if (!session) return null;
    const page: SessionPage = {
      session,
      entries: this.#journal.after(after, limit),
      head: this.#journal.head,
    };
    return JSON.stringify(page);
  }

  /** The same for the entries before a number, nearest first in what is chosen. @param before null: the newest */
  async pageBefore(before: number | null, limit: number): Promise<string | null> {
    const session = await this.#shown();
    if (!session) return null;
    const entries = this.#journal.before(before, limit);
    const saved = before === null ? this.#journal.lastSaved() : null;
    const page: SessionPage = { session, entries, head: this.#journal.head, ...(saved && { saved }) };
    return JSON.stringify(page);
  }

  /** Entries with a text in what people see of them, newest first; null if there is no such session. */
  find(text: string, before: number): FoundEntries | null {
    return this.#state || this.#readOnly ? findEntries(this.#journal, text, before) : null;
  }

  /** The line before this session has moved; 0: it is its turn. */
  placeChanged(place: number): void {
    const state = this.#state;
    if (state) this.#commit(() => ({ state, event: { type: 'place-changed', place } }));
  }

  /** Whether this session needs a slot, or a position in the queue. */
  needsPlace(): boolean {
    // What a newer version stored may be at work: its place is not given away.
    return this.#readOnly !== null || (this.#state !== null && needsPlace(this.#state));
  }

  /** How many turns have begun; null if there is no such session. */
  turns(): number | null {
    return (this.#state ?? this.#readOnly?.shown)?.turns ?? null;
  }

  /** Adds to the egress log what has left the sandbox, or was kept from it. */
  noteEgress(lines: EgressLine[]): void {
    if (this.#state || this.#readOnly) this.ctx.storage.transactionSync(() => this.#egress.add(lines));
  }

  /** The newest lines of the egress log; null if there is no such session. */
  egress(limit: number): EgressPage | null {
    return this.#state || this.#readOnly ? this.#egress.newest(limit) : null;
  }

  /**
   * The gateway met a secret: on its way to a host, with `commit` in what that commit changes, or at `secret.place`.
   * @param secret which it is; left out: the decoy
   */
  raiseAlarm(id: string, host: string, commit: string | null = null, secret?: MetSecret): void {
    const state = this.#state;
    if (!state) return;
    const isPushed = () =>
      this.ctx.storage.kv.get(PUSHED_TIP) === commit || this.#pushed.all().some((known) => known.id === commit);
    const found = { ...(commit !== null && { commit: { id: commit, pushed: isPushed() } }), ...(secret && { secret }) };
    this.#commit(() => ({ state, event: { type: 'alarm-raised', id, host, ...found } }));
  }

  /** Notes commits that the sandbox is about to push. */
  notePushed(commits: PushedCommit[]): void {
    if (this.#state) this.ctx.storage.transactionSync(() => this.#pushed.add(commits));
  }

  /** The git host has taken a push: its branch stands at this commit. */
  noteTip(tip: string): void {
    if (this.#state) this.ctx.storage.kv.put(PUSHED_TIP, tip);
  }

  /** Whether this is where the session's work stands, as far as is known: at the git host, or in what was shown of it last. */
  isPresentHead(head: string): boolean {
    const { kv } = this.ctx.storage;
    return kv.get(PUSHED_TIP) === head || kv.get<UnpushedPatch>(UNPUSHED_PATCH)?.head === head;
  }

  /**
   * Notes that the patch of a head is about to be kept. A turn keeps one of what the git host has not.
   * @returns the head whose patch it takes the place of; null: there is none
   */
  notePatch(head: string): string | null {
    const { kv } = this.ctx.storage;
    if (!this.#state || this.isPresentHead(head)) return null;
    const { turns: turn } = this.#state;
    const before = kv.get<UnpushedPatch>(UNPUSHED_PATCH);
    kv.put(UNPUSHED_PATCH, { turn, head } satisfies UnpushedPatch);
    const isKept = before === undefined || before.turn !== turn;
    return isKept || this.#pushed.all().some(({ id }) => id === before.head) ? null : before.head;
  }

  /** The session's branch; null if there is no such session. */
  branch(): string | null {
    return this.#state?.branch ?? null;
  }

  /** The branch that the session builds on, if that is another than the repository's; null: it is not, or there is no session. */
  baseBranch(): string | null {
    return this.#state?.baseBranch ?? null;
  }

  /** Whether a person has allowed these contents of what runs on the git host, by the gateway's fingerprint of them. */
  isPushAllowed(fingerprint: string): boolean {
    return this.#state?.allowedPushes?.includes(fingerprint) ?? false;
  }

  /** The gateway holds a push back until people have allowed it, and has made the diff that they are shown. */
  noteHeldPush(held: HeldPush): void {
    const state = this.#state;
    if (state) this.#commit(() => ({ state, event: { type: 'push-held', held } }));
  }

  /** Commits that this session has pushed, with their parents. */
  pushedCommits(): PushedCommit[] {
    return this.#state ? this.#pushed.all() : [];
  }

  /** Where the newest patch is stored. */
  newestHead(): string | null {
    return this.#journal.lastSaved()?.head ?? null;
  }

  /** A viewer's WebSocket: `?after=N` is the last number it has. */
  override async fetch(request: Request): Promise<Response> {
    if (request.headers.get('upgrade') !== 'websocket')
      return new Response('this address takes WebSocket connections only', { status: 426 });
    const { searchParams } = new URL(request.url);
    const mismatch = protocolMismatch(
      { name: 'Cyrus', protocol: PAGE_PROTOCOL },
      { name: 'this page', protocol: Number(searchParams.get('protocol') ?? 1) },
    );
    if (mismatch !== null) return refuseSocket(CLOSE_PROTOCOL, `${mismatch}: reload the page`);
    const session = await this.#shown();
    if (!session) return refuseSocket(CLOSE_NO_SUCH_SESSION, 'no such session');
    return this.#audience.join(session, Number(searchParams.get('after') ?? 0));
  }

  override webSocketClose(): void {
    // The platform answers close frames; nothing is kept of a viewer.
  }

  /**
   * Whatever is due: effects to try again, deadlines, what a crash left behind. Effects run beside it, for the next alarm comes
   * only when this one is over, and deadlines do not wait for Linear or a sandbox.
   */
  override async alarm(): Promise<void> {
    this.#alarmAt = null;
    if (this.#readOnly) await this.ctx.storage.setAlarm(Date.now() + LOOK_AGAIN_MS);
    this.#watchClock();
    const state = this.#state;
    if (!state) return;
    const deadline = nextDeadline(state);
    if (deadline !== null && deadline <= Date.now()) {
      this.#commit(() => ({ state: this.#state ?? state, event: { type: 'deadline' } }));
    }
    this.ctx.waitUntil(this.#carryOut());
    this.#arm();
  }

  /** What a page shows; null if there is no such session. */
  async #shown(): Promise<SessionView | null> {
    const known = this.#state ?? this.#readOnly?.shown;
    if (!known) return null;
    await this.#loadWorkspaceName(known.workspaceId);
    if (this.#readOnly) return readOnlyView(this.#readOnly, this.#workspaceName, this.#config.claude.scripted);
    return this.#view(this.#state ?? known);
  }

  /** Nothing can be accepted for now: the thread tells the person who asked. */
  #refuse({ shown, words }: ReadOnly, { event, about }: Delivery): 'read-only' {
    const agentSessionId = askedIn(event);
    const workspaceId = about?.workspaceId ?? shown.workspaceId;
    if (agentSessionId !== null) this.ctx.waitUntil(this.#tellReadOnly(workspaceId, agentSessionId, words));
    return 'read-only';
  }

  /** Not by the outbox, which a newer version may have changed. Never rejects. */
  async #tellReadOnly(workspaceId: string, agentSessionId: string, words: string): Promise<void> {
    try {
      const client = new LinearClient(sendThrough(this.env, workspaceId));
      const activity = { content: { type: 'error', body: words }, ephemeral: false } as const;
      await client.post(agentSessionId, { activities: [{ id: crypto.randomUUID(), activity }] });
    } catch (error) {
      log('session.read_only_notify.failed', { ...this.#named(), error: asError(error) });
    }
  }

  /** Linear takes the workspace's token again: what waited for that is sent at once. */
  linearIsBack(): void {
    this.#outbox.hurry((effect) => retryPolicy(effect, 'unauthorized') !== null, Date.now());
    this.ctx.waitUntil(this.#carryOut());
  }

  #begin(delivery: Delivery, now: number): SessionState | null {
    if (!delivery.about) return null;
    const { workspaceId, issue, fallbackName } = delivery.about;
    const name = (issue?.identifier || fallbackName).toLowerCase().replace(/[^a-z0-9-]+/g, '-');
    return initialState({
      id: this.ctx.id.toString(),
      workspaceId,
      origin: this.#config.publicUrl ?? delivery.origin,
      issue,
      branch: `cyrus/${name}`,
      conversationId: crypto.randomUUID(),
      now,
    });
  }

  /**
   * One event, one transaction. `take` runs inside of it and may refuse the event by returning null. Afterwards viewers
   * are told and effects set going.
   */
  #commit(take: () => { state: SessionState; event: SessionEvent } | null): boolean {
    const isMoved = this.#watchClock();
    const context: StepContext = { now: Date.now(), newId: () => crypto.randomUUID() };
    const written: Written[] = [];
    let transition: Transition | null = null;
    try {
      this.ctx.storage.transactionSync(() => {
        const taken = take();
        if (!taken) return;
        // What the caller read before the clock was noticed is of the state before.
        const before = isMoved && this.#state ? this.#state : taken.state;
        transition = reduce(before, taken.event, context);
        written.push(...this.#write(transition));
        for (const { promptId, text } of transition.prompts) this.#store.keepPrompt(promptId, text);
        for (const { promptId, of } of transition.copies) this.#store.copyPrompt(promptId, of);
        for (const lane of transition.cancelledLanes) this.#outbox.cancel(lane);
        this.#outbox.add(transition.effects, context.now);
      });
    } catch (error) {
      this.#journal.reload();
      if (this.#state) this.#store.reload();
      else this.#store.clear();
      if (this.#state) this.#outbox.load(Date.now());
      else this.#outbox.clear();
      throw error;
    }
    return transition ? this.#follow(transition, written) : false;
  }

  /** Stores the entries and the state of a step. To be called inside of its transaction. */
  #write({ state, output, effects }: Transition): Written[] {
    const entries = output.flatMap((item) => ('live' in item ? [] : [item.entry]));
    const isSilent = output.length === 0 && effects.length === 0;
    const bodies = entries.map(({ body }) => body);
    const changes = this.#store.save(state, { head: this.#journal.head, bodies, isSilent });
    const last = entries.at(-1);
    return output.map((item) => {
      if ('live' in item) return item;
      const entry = this.#journal.append(item.entry, item.entry === last ? changes : null);
      return { entry, block: item.entry.block };
    });
  }

  /** A clock that was set back would have everything wait by as much longer; one set forward, by as much less. */
  #watchClock(): boolean {
    const state = this.#state;
    if (!state || this.#isMoving) return false;
    const now = Date.now();
    const back = setBack(state.updatedAt, now);
    const by = back === 0 ? setForward(state, now, this.#isDoubted) : back;
    this.#isDoubted = by > 0;
    if (by === 0) return false;
    log('session.clock.moved', { ...this.#named(), by });
    this.#isMoving = true;
    try {
      this.#commit(() => {
        // What is sent or tried again too early does no harm.
        if (by < 0) this.#outbox.clockMoved(by);
        return { state, event: { type: 'clock-moved', by } };
      });
    } finally {
      this.#isMoving = false;
    }
    this.#alarmAt = null;
    this.#arm();
    return true;
  }

  /** What comes after a transaction: viewers are told, effects set going, the alarm set. */
  #follow({ state, effects }: Transition, written: readonly Written[]): true {
    this.#state = state;
    this.#audience.tell(state, written);
    this.#logTurns(written);
    // Effects run beside the request that caused them; the alarm stands by in case the object dies meanwhile.
    if (effects.length > 0) this.ctx.waitUntil(this.#carryOut());
    this.#arm();
    return true;
  }

  /** The session as the log names it: also by its issue, as people know it. */
  #named(): { session: string; issue?: string; workspace?: string } {
    const session = this.ctx.id.toString();
    const { issue, workspaceId: workspace } = this.#state ?? {};
    return { session, ...(issue && { issue: issue.identifier }), ...(workspace !== undefined && { workspace }) };
  }

  /** One line for the beginning and one for the end of each turn. */
  #logTurns(written: readonly Written[]): void {
    for (const item of written) {
      if (!('entry' in item)) continue;
      const { entry } = item;
      if (entry.kind === 'turn-started') log('session.turn.started', { ...this.#named(), turn: entry.turn });
      if (entry.kind !== 'turn-ended') continue;
      const { turn, outcome, reason, durationMs } = entry;
      log('session.turn.ended', { ...this.#named(), turn, outcome, reason, durationMs });
    }
  }

  #sandboxGone(generation: number): void {
    try {
      this.#commit(() => this.#state && { state: this.#state, event: { type: 'sandbox-unreachable', generation } });
    } catch (error) {
      log('session.sandbox_mark.failed', { ...this.#named(), error: asError(error) });
    }
  }

  #view(state: SessionState) {
    return viewOf(state, { workspaceName: this.#workspaceName, scriptedModel: this.#config.claude.scripted });
  }

  #database(): Database {
    return openDatabase(this.env.DB, this.#config.encryptionKey, this.#config.oldEncryptionKey);
  }

  /** The workspace's name is for the page alone: without it the session can be watched all the same. Never rejects, never hangs. */
  async #loadWorkspaceName(workspaceId: string): Promise<void> {
    if (this.#workspaceName !== '') return;
    try {
      const workspace = await settledWithin(NAME_LIMIT_MS, findWorkspace(this.#database(), workspaceId));
      if (workspace === 'late') return;
      this.#workspaceName = workspace?.name ?? '';
      if (!this.#readOnly) this.ctx.storage.kv.put(WORKSPACE_NAME, this.#workspaceName);
    } catch (error) {
      log('session.workspace_name.unknown', { ...this.#named(), error: asError(error) });
    }
  }

  /** An admin changed settings: a start that a pause held back may begin. */
  async settingsChanged(): Promise<void> {
    if (this.#state) await this.#carryOut(true);
  }

  /** Carries out what is due, lane by lane, until nothing is. Never rejects. @param isNews settings have changed */
  async #carryOut(isNews = false): Promise<void> {
    try {
      if (isNews || this.#outbox.isNext(({ kind }) => kind === 'start-sandbox')) await this.#readSettings(isNews);
      // Nothing but a start waits for them.
      else if (!this.#hasSettings && this.#state) this.ctx.waitUntil(this.#loadSettings(this.#state, false));
      this.#giveUpFatal();
      const leased = this.#outbox.lease(Date.now(), this.#isHeld);
      // The attempt is on the disk, and the object is woken again, before it is made.
      if (leased.length > 0) this.#arm();
      await Promise.all(leased.map((together) => this.#tryOnce(together)));
    } catch (error) {
      log('session.outbox.failed', { ...this.#named(), error: asError(error) });
    }
  }

  /** Whether an effect has to wait, and what comes after it in its lane. */
  readonly #isHeld = (effect: Effect): boolean =>
    this.#holds(effect) || (this.#config.paused && this.#state !== null && isHeldByPause(effect, this.#state));

  async #readSettings(isNews: boolean): Promise<void> {
    if (!this.#state) return;
    await this.#loadSettings(this.#state, isNews);
    const { phase } = this.#state;
    const isHeld = this.#outbox.isNext(this.#isHeld);
    if (phase.name !== 'starting' || (phase.isHeld ?? false) === isHeld) return;
    this.#commit(() => this.#state && { state: this.#state, event: { type: 'start-held', isHeld } });
  }

  async #loadSettings({ workspaceId }: SessionState, isNews: boolean): Promise<void> {
    this.#hasSettings = true;
    this.#config = await settledConfig(this.env, workspaceId, isNews);
  }

  #giveUpFatal(): void {
    for (const pending of this.#outbox.fatal()) {
      const { effect, attempts } = pending;
      log('session.effect.given_up', { ...this.#named(), effect: effect.kind, attempts, reason: 'crash' });
      const error = 'Cyrus crashed on every attempt';
      this.#settle([pending], { type: 'effect-failed', effect, attempts, error, hint: null });
    }
  }

  /** Tries effects that were leased together: one effect, or what one request to Linear carries. */
  async #tryOnce(together: Pending[]): Promise<void> {
    const state = this.#state;
    if (!state) return;
    const [effect, ...others] = together.map((pending) => pending.effect);
    if (!effect) return;
    const outcome = await attempt([effect, ...others], {
      env: this.env,
      config: this.#config,
      database: this.#database(),
      state,
      journal: this.#journal,
      promptText: (promptId) => this.#store.promptText(promptId),
      promptsWith: (words) => this.#store.promptsWith(words),
      checkpoint: () => this.#checkpoint.get(),
      pushedTip: () => this.ctx.storage.kv.get<string>(PUSHED_TIP) ?? null,
      assets: this.#assets,
      secretCopy: storedSecret(this.ctx.storage.kv),
    });
    const failure = outcome.kind === 'done' ? this.#takeResult(together, effect, outcome.result) : outcome;
    if (failure) this.#takeFailure(together, failure);
    await this.#carryOut();
  }

  /** Takes in what effects brought back. @returns why it could not be, so that they are tried again; null: it was */
  #takeResult(together: Pending[], effect: Effect, result: EffectResult): Failure | null {
    try {
      this.#settle(together, { type: 'effect-done', effect, result });
      return null;
    } catch (error) {
      return toFailure(error);
    }
  }

  #takeFailure(together: Pending[], failure: Failure): void {
    const { message, hint, error } = failure;
    const cause = failure.kind === 'terminal' ? 'terminal' : failure.cause;
    const effects = together.map(({ effect }) => effect.kind).join(' ');
    const attempts = Math.max(...together.map((pending) => pending.attempts));
    if (failure.kind === 'terminal' && together.length > 1) {
      // One of them is refused, or was done by an attempt that was cut off: each by itself tells which.
      log('session.effect.separated', { ...this.#named(), effect: effects, reason: message });
      this.#outbox.separate(together, message, Date.now());
      return;
    }
    log('session.effect.failed', { ...this.#named(), effect: effects, attempts, cause, error });
    const isOver = ({ effect, attempts: tried }: Pending) =>
      failure.kind === 'terminal' || isGivenUp(effect, tried, failure.cause);
    const again = together.filter((pending) => !isOver(pending));
    if (failure.kind === 'retryable') {
      const { reason, cause, retryAt } = failure;
      this.#outbox.retry(again, { error: message, cause, notBefore: retryAt }, Date.now(), Math.random());
      for (const { effect, attempts: tried } of again) {
        if (reason !== undefined) this.#tellDelay({ effect, attempts: tried, reason });
      }
    }
    for (const pending of together.filter(isOver)) {
      const { effect, attempts: tried } = pending;
      log('session.effect.given_up', { ...this.#named(), effect: effect.kind, attempts: tried, reason: message });
      this.#settle([pending], { type: 'effect-failed', effect, attempts: tried, error: message, hint });
    }
    this.#arm();
  }

  #tellDelay(delay: { effect: Effect; attempts: number; reason: string }): void {
    this.#commit(() => (this.#state ? { state: this.#state, event: { type: 'effect-delayed', ...delay } } : null));
  }

  /** Takes in the outcome of effects, unless they were cancelled meanwhile. */
  #settle(together: Pending[], event: SessionEvent): void {
    this.#commit(() => {
      const known = together.filter((pending) => this.#outbox.has(pending));
      if (!this.#state || known.length === 0) return null;
      this.#outbox.remove(known);
      return { state: this.#state, event };
    });
  }

  /**
   * Has the alarm come in time for the next thing that is due. One that comes too early looks and is set again, so it is
   * moved only where something is due before it: most changes cost no write.
   */
  #arm(): void {
    const now = Date.now();
    const effects = this.#outbox.nextAt(now, this.#isHeld);
    const deadline = this.#state ? nextDeadline(this.#state) : null;
    const pause = this.#outbox.isNext(this.#isHeld) ? now + PAUSE_POLL_MS : null;
    const times = [effects, deadline, pause].filter((time) => time !== null);
    if (times.length === 0) return;
    const at = Math.min(...times);
    if (this.#alarmAt !== null && this.#alarmAt > now && this.#alarmAt <= at) return;
    this.#alarmAt = at;
    this.ctx.waitUntil(this.ctx.storage.setAlarm(Math.max(at, now)));
  }
}

/** A socket is refused in words a client can read: accepted, then closed with a code of its own. */
function refuseSocket(code: number, reason: string): Response {
  const { 0: client, 1: server } = new WebSocketPair();
  server.accept();
  server.close(code, reason);
  return new Response(null, { status: 101, webSocket: client });
}
