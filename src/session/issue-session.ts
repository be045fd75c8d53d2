/**
 * The issue session: one Durable Object for each Linear issue. Here are its calls; what they are bound to is elsewhere. The
 * lifecycle decides (lifecycle/reduce.ts), the engine stores and carries out (kernel/engine.ts), viewers are told
 * (viewers/broadcast.ts).
 */
import { DurableObject } from 'cloudflare:workers';
import * as z from 'zod';
import type { Standing } from '../gateway/openings.ts';
import { parseJson } from '../lib/parse-json.ts';
import { type FoundEntries, sessionPageSchema } from '../protocol/api.ts';
import { type SessionArchivePage, storedItemSchema } from '../protocol/archive.ts';
import type { CheckpointManifest } from '../protocol/checkpoint.ts';
import type { EgressLine, EgressPage } from '../protocol/egress-log.ts';
import type { HeldPush } from '../protocol/held-push.ts';
import type { EventBatch } from '../protocol/sandbox/batches.ts';
import type { ShareLink } from '../protocol/share-links.ts';
import { ByteCount } from './inbound/byte-count.ts';
import type { Accepted, Delivery, Ingested, NotedCheckpoint } from './inbound/delivery.ts';
import { tellRefusal } from './inbound/refuse-delivery.ts';
import { nameOfSession } from './inbound/session-name.ts';
import { takeBatch, takeCheckpoint } from './inbound/take-batch.ts';
import { takeDelivery } from './inbound/take-delivery.ts';
import { retryPolicy } from './lifecycle/effects/index.ts';
import type { Effect } from './lifecycle/model/effects.ts';
import type { MetSecret } from './lifecycle/model/events.ts';
import { needsSlot } from './lifecycle/model/phases.ts';
import { standingOf, UNREADABLE } from './lifecycle/model/standing.ts';
import { type Whose, whoseOf } from './lifecycle/session-row.ts';
import { SessionBindings } from './session-bindings.ts';
import { copyPart, mayRestore, storePart } from './storage/archive.ts';
import { EgressLog } from './storage/egress-log.ts';
import type { PushedCommit } from './storage/pushed-commits.ts';
import { findEntries } from './viewers/find-entries.ts';
import type { Look } from './viewers/pull-request-look.ts';
import { connect, pageAfter, pageBefore } from './viewers/session-pages.ts';
import { type HashedShareLink, StoredShareLinks } from './viewers/share-links.ts';
import { sharedPage } from './viewers/shared-page.ts';

/** How often a read-only session is woken: by then a version that knows it may be deployed. */
const LOOK_AGAIN_MS = 10 * 60_000;

export class IssueSession extends DurableObject<Env> {
  readonly #begin: () => { session: SessionBindings; egress: EgressLog };
  #session: SessionBindings;
  #egress: EgressLog;
  readonly #bytes = new ByteCount();
  readonly #shareLinks: StoredShareLinks;

  /** @param holds effects that are not carried out; the platform gives none, benchmarks that measure the intake alone give all */
  constructor(ctx: DurableObjectState, env: Env, holds: (effect: Effect) => boolean = () => false) {
    super(ctx, env);
    this.#shareLinks = new StoredShareLinks(ctx.storage.sql);
    this.#begin = () => ({
      session: new SessionBindings(ctx, env, holds),
      egress: new EgressLog(ctx.storage.sql),
    });
    const { session, egress } = this.#begin();
    this.#session = session;
    this.#egress = egress;
  }

  /**
   * Takes in what a person asked, durably, before it returns. A delivery seen before changes nothing.
   * `no-such-session`: nothing has begun here, and this delivery does not begin anything.
   */
  accept(delivery: Delivery): Accepted {
    if (this.#session.readOnly) {
      const { shown, words } = this.#session.readOnly;
      this.ctx.waitUntil(tellRefusal(this.env, delivery, shown.workspaceId, words, this.#session.log.write));
      return 'read-only';
    }
    return takeDelivery(this.#session, delivery, Date.now());
  }

  /** Takes in a batch of the sandbox's events; answers when they are durable. */
  ingest(batch: EventBatch): Ingested {
    if (this.#session.readOnly) return { kind: 'read-only', message: this.#session.readOnly.words };
    const taker = {
      engine: this.#session.engine,
      standing: this.standing(batch.generation),
      counted: this.#bytes.counted(this.#session.settings.config.sessionBytesAnHour, Date.now()),
      isWatched: this.#session.broadcast.isThere,
      log: this.#session.log.write,
    };
    return takeBatch(taker, batch);
  }

  /** The sandbox posted nothing for some seconds. @returns when to look again unless it posts, in ms; null: there is no need */
  async lookAfterSandbox(): Promise<number | null> {
    return await this.#session.sandboxCheck.look();
  }

  /**
   * Counts bytes that are about to be stored for the session; they are kept with the next event that is.
   * @returns why they may not be, as a message; null if they may
   */
  takeBytes(bytes: number): string | null {
    return this.#bytes.take(this.#session.state, bytes, this.#session.settings.config.sessionBytesAnHour, Date.now());
  }

  /** From now on another sandbox goes on from this checkpoint; its objects are stored. */
  noteCheckpoint(manifest: CheckpointManifest): NotedCheckpoint {
    if (this.#session.readOnly) return { kind: 'read-only', message: this.#session.readOnly.words };
    const standing = this.standing(manifest.generation);
    return takeCheckpoint(
      { engine: this.#session.engine, standing, checkpoint: this.#session.checkpoint },
      manifest,
      Date.now(),
    );
  }

  /** The platform says that the sandbox of this life has ended, and its disk with it. */
  noteSandboxEnded(generation: number): void {
    this.#session.commit({ type: 'sandbox-ended', generation });
  }

  /** The state of the session, for a token of this life of the sandbox. */
  standing(generation: number): Standing {
    return this.#session.readOnly ? UNREADABLE : standingOf(this.#session.state, generation, Date.now());
  }

  /**
   * The session and a part of its journal: a SessionPage as JSON text; null if there is no such session.
   * @param mayWork whether who asks may write to Claude and stop it
   */
  async page(after: number, limit: number, mayWork = true): Promise<string | null> {
    const session = await this.#session.shown();
    return session && pageAfter({ session, mayWork }, this.#session.journal, after, limit);
  }

  /** The same for the entries before a number, nearest first in what is chosen. @param before null: the newest */
  async pageBefore(before: number | null, limit: number, mayWork = true): Promise<string | null> {
    const session = await this.#session.shown();
    return session && pageBefore({ session, mayWork }, this.#session.journal, before, limit);
  }

  /** Makes a share link. */
  addShareLink(link: HashedShareLink): 'added' | 'too-many' | 'no-such-session' {
    if (!this.#session.known) return 'no-such-session';
    return this.#shareLinks.add(link) ? 'added' : 'too-many';
  }

  /** The share links that are good; null if there is no such session. @param now in ms since the epoch */
  shareLinks(now: number): ShareLink[] | null {
    return this.#session.known && this.#shareLinks.list(now);
  }

  /** Ends a share link. @returns false: there is none with this id */
  endShareLink(id: string): boolean {
    return this.#session.known !== null && this.#shareLinks.end(id);
  }

  /**
   * A part of the journal for who has a share link: a SessionPage as JSON text, without what is not for strangers.
   * @param secretHash of the link's secret
   * @param query entries after a number, or before one; `before` null: the newest
   * @param now in ms since the epoch
   * @returns null: there is no such session, or no such link that is good
   */
  async sharedPage(
    secretHash: string,
    query: { before?: number | null | undefined; after: number; limit: number },
    now: number,
  ): Promise<string | null> {
    if (!this.#session.known || this.#shareLinks.goodUntil(secretHash, now) === null) return null;
    const { before, after, limit } = query;
    const text = await (before === undefined ? this.page(after, limit) : this.pageBefore(before, limit));
    // Of a newer version there may be what this one cannot judge.
    const page = sessionPageSchema.safeParse(parseJson(text ?? ''));
    return page.success ? JSON.stringify(sharedPage(page.data)) : null;
  }

  /** What GitHub says of the pull request; `none`: there is none. Null: no such session. */
  async lookAtPullRequest(): Promise<Look | null> {
    const { known } = this.#session;
    if (!known) return null;
    const number = known.proposal?.pullRequest?.number;
    if (number === undefined) return { kind: 'none' };
    const look = this.#session.pullRequest.look(number);
    // Others wait for the same answer, also where this one goes away.
    this.ctx.waitUntil(look.catch(() => null));
    return await look;
  }

  /** Entries with a text in what people see of them, newest first; null if there is no such session. */
  find(text: string, before: number): FoundEntries | null {
    return this.#session.known && findEntries(this.#session.journal, text, before);
  }

  /** The queue has moved. @param position the session's; 0: it has a slot */
  queueMoved(position: number): void {
    this.#session.commit({ type: 'queue-moved', position });
  }

  /** By this name the queue of the version before this one calls `queueMoved`. */
  placeChanged(position: number): void {
    this.queueMoved(position);
  }

  /** By this name the queue of the version before this one calls `needsSlot`. */
  needsPlace(): boolean {
    return this.needsSlot();
  }

  /** Whether this session needs a slot, or a position in the queue. */
  needsSlot(): boolean {
    // What a newer version stored may be at work: its slot is not given away.
    return this.#session.readOnly !== null || (this.#session.state !== null && needsSlot(this.#session.state.phase));
  }

  /** Whose the session is; null if there is no such session. */
  whose(): Whose | null {
    const { known } = this.#session;
    return known ? whoseOf(known) : null;
  }

  /** How many turns have begun; null if there is no such session. */
  turns(): number | null {
    return this.#session.known?.turns ?? null;
  }

  /** Adds to the egress log what has left the sandbox, or was kept from it. */
  noteEgress(lines: EgressLine[]): void {
    if (this.#session.known) this.ctx.storage.transactionSync(() => this.#egress.add(lines));
  }

  /** The newest lines of the egress log; null if there is no such session. */
  egress(limit: number): EgressPage | null {
    return this.#session.known && this.#egress.newest(limit);
  }

  /**
   * The gateway met a secret: on its way to a host, with `commit` in what that commit changes, or at `secret.place`.
   * @param secret which it is; left out: the decoy
   */
  raiseAlarm(id: string, host: string, commit: string | null = null, secret?: MetSecret): void {
    if (!this.#session.state) return;
    const pushed = commit !== null && { commit: { id: commit, pushed: this.#session.pushed.isPushed(commit) } };
    this.#session.commit({ type: 'alarm-raised', id, host, ...pushed, ...(secret && { secret }) });
  }

  /** Notes commits that the sandbox is about to push. */
  notePushed(commits: PushedCommit[]): void {
    if (this.#session.state) this.#session.pushed.noteCommits(commits);
  }

  /** The git host has taken a push: its branch is at this commit. */
  noteTip(tip: string): void {
    if (this.#session.state) this.#session.pushed.noteTip(tip);
  }

  /** Whether this is the session's present work, as far as is known: at the git host, or in what was shown of it last. */
  isPresentHead(head: string): boolean {
    return this.#session.pushed.isPresentHead(head);
  }

  /**
   * Notes that the patch of a head is about to be kept. A turn keeps one of what the git host has not.
   * @returns the head whose patch it takes the place of; null: there is none
   */
  notePatch(head: string): string | null {
    return this.#session.state && this.#session.pushed.notePatch(this.#session.state.turns, head);
  }

  /** The session's branch; null if there is no such session. */
  branch(): string | null {
    return this.#session.state?.branch ?? null;
  }

  /** The branch that the session builds on, if that is another than the repository's; null: it is not, or there is no session. */
  baseBranch(): string | null {
    return this.#session.state?.baseBranch ?? null;
  }

  /** Whether a person has allowed these contents of what runs on the git host, by the gateway's fingerprint of them. */
  isPushAllowed(fingerprint: string): boolean {
    return this.#session.state?.allowedPushes?.includes(fingerprint) ?? false;
  }

  /** The gateway holds a push back until people have allowed it, and has made the diff that they are shown. */
  noteHeldPush(held: HeldPush): void {
    this.#session.commit({ type: 'push-held', held });
  }

  /** Commits that this session has pushed, with their parents. */
  pushedCommits(): PushedCommit[] {
    return this.#session.state ? this.#session.pushed.commits() : [];
  }

  /** Where the newest patch is stored; null if there is none, or no such session. */
  newestHead(): string | null {
    return this.#session.known && (this.#session.journal.lastSaved()?.head ?? null);
  }

  /** A viewer's WebSocket: `?after=N` is the last number it has; WATCH_UNTIL says how long it may watch without being asked again. */
  override async fetch(request: Request): Promise<Response> {
    return await connect(request, () => this.#session.shown(), this.#session.broadcast);
  }

  override webSocketClose(): void {
    // The platform answers close frames; nothing is kept of a viewer.
  }

  /** Whatever is due: effects to try again, deadlines, what a crash left behind. */
  override async alarm(): Promise<void> {
    if (this.#session.readOnly) await this.ctx.storage.setAlarm(Date.now() + LOOK_AGAIN_MS);
    await this.#removeDue();
    this.#session.engine.alarm();
  }

  /**
   * Removes what was kept long enough by the settings as they are now, and is woken when there is more.
   * @returns `none`: there is no such session, or not any more
   */
  async keep(): Promise<'kept' | 'none'> {
    await this.#removeDue(true);
    this.#session.engine.rearm();
    return this.#session.known ? 'kept' : 'none';
  }

  /**
   * Deletes the session with everything that belongs to it.
   * @returns whether it is gone; false: something happened to it meanwhile
   * @throws what R2, D1 and the objects of containers throw; to be called again then
   */
  async erase(): Promise<boolean> {
    const isGone = await this.#session.keeper.erase();
    if (isGone) this.#startOver();
    return isGone;
  }

  /** A part of all that is stored, for an archive, as JSON text; null: there is no such session. @param from as the part before says; 0: the first */
  archive(from: number): string | null {
    const { known } = this.#session;
    if (!known) return null;
    const name = nameOfSession(known).find((one) => this.env.ISSUE_SESSION.idFromName(one).equals(this.ctx.id)) ?? null;
    const page: SessionArchivePage = { name, revision: known.revision, ...copyPart(this.ctx.storage, from) };
    return JSON.stringify(page);
  }

  /**
   * Stores a part of a session from an archive; with the last it is one that goes on.
   * @param part items as JSON text
   * @returns false: there is a session here already, and nothing is changed
   * @throws what SQLite throws
   */
  async restore(part: string, which: { isFirst: boolean; isLast: boolean }): Promise<boolean> {
    if (!mayRestore(this.ctx.storage)) return false;
    await storePart(this.ctx.storage, z.array(storedItemSchema).parse(JSON.parse(part)), which);
    if (which.isLast) this.#startOver();
    return true;
  }

  async #removeDue(isUnsure = false): Promise<void> {
    if ((await this.#session.keeper.carryOut(isUnsure)) === 'gone') this.#startOver();
  }

  /** Nothing is stored any more: what is in memory is forgotten too. */
  #startOver(): void {
    this.#session.pullRequest.end();
    const { session, egress } = this.#begin();
    this.#session = session;
    this.#egress = egress;
  }

  /** Linear takes the workspace's token again: what waited for that is sent at once. */
  linearIsBack(): void {
    this.#session.engine.hurry((effect) => retryPolicy(effect, 'unauthorized') !== null);
  }

  /** An admin changed settings: a start that a pause held back may begin. */
  async settingsChanged(): Promise<void> {
    if (this.#session.state) await this.#session.engine.carryOut(true);
  }
}
