/** The parts of an issue session, bound to its object: storage, engine, settings, log, viewers, and what carries out effects. */
import type { GitHubApi } from '../github/access.ts';
import type { Attempt } from '../kernel/attempt.ts';
import { asError } from '../lib/error.ts';
import type { PullRequestStatus, PullSummary } from '../protocol/pull-request.ts';
import type { SessionView } from '../protocol/viewer.ts';
import { sandboxFor } from '../sandbox/choose.ts';

import { toFailure } from './effects/failure.ts';
import { attempt } from './effects/perform.ts';
import type { Delivery } from './inbound/delivery.ts';
import type { DeliveryTaker } from './inbound/take-delivery.ts';
import type { Effect } from './lifecycle/model/effects.ts';
import type { SessionEvent } from './lifecycle/model/events.ts';
import { initialState, type SessionState } from './lifecycle/model/state.ts';
import { SandboxCheck } from './sandbox-check.ts';
import { SessionKeeper } from './session-keeper.ts';
import { SessionLog } from './session-log.ts';
import { SessionSettings } from './session-settings.ts';
import { loadSession } from './storage/load-session.ts';
import { objectPlatform } from './storage/object-platform.ts';
import { PushedWork } from './storage/pushed-work.ts';
import { Deliveries } from './storage/seen-deliveries.ts';
import { type SessionEngine, sessionEngine } from './storage/session-engine.ts';
import type { StateStore } from './storage/state-store.ts';
import { StoredCheckpoint } from './storage/stored-checkpoint.ts';
import { storedSecret } from './storage/stored-secret.ts';
import { createTables } from './storage/tables.ts';
import { TransitionWriter } from './storage/transition-writer.ts';
import { AssetMemory } from './storage/uploaded-assets.ts';
import { Broadcast } from './viewers/broadcast.ts';
import { apiToLook, PullRequestLook } from './viewers/pull-request-look.ts';
import { type ReadOnly, readOnly, readOnlyView } from './viewers/read-only.ts';
import { viewOf } from './viewers/session-view.ts';
import { WorkspaceName } from './viewers/workspace-name.ts';

export class SessionBindings implements DeliveryTaker {
  readonly #ctx: DurableObjectState;
  readonly #env: Env;
  readonly #writer: TransitionWriter;
  readonly #assets: AssetMemory;
  readonly #workspace: WorkspaceName;
  readonly engine: SessionEngine;
  readonly settings: SessionSettings;
  readonly log: SessionLog;
  readonly broadcast: Broadcast;
  readonly deliveries: Deliveries;
  readonly checkpoint: StoredCheckpoint;
  readonly pushed: PushedWork;
  readonly sandboxCheck: SandboxCheck;
  readonly keeper: SessionKeeper;
  readonly pullRequest: PullRequestLook;
  /** Set if what is stored cannot be gone on from; there is no state then. */
  readonly readOnly: ReadOnly | null;

  /** @param holds effects that are not carried out */
  constructor(ctx: DurableObjectState, env: Env, holds: (effect: Effect) => boolean) {
    this.#ctx = ctx;
    this.#env = env;
    const { storage } = ctx;
    this.#writer = new TransitionWriter(storage.sql);
    this.#assets = new AssetMemory(storage.kv);
    this.#workspace = new WorkspaceName(storage.kv);
    this.deliveries = new Deliveries(storage.sql);
    this.checkpoint = new StoredCheckpoint(storage);
    this.pushed = new PushedWork(storage);
    this.log = new SessionLog(ctx.id.toString(), () => this.state);
    const waitUntil = (work: Promise<unknown>) => ctx.waitUntil(work);
    this.settings = new SessionSettings({ env, engine: () => this.engine, waitUntil, holds });
    this.broadcast = new Broadcast(ctx, this.journal, (state) => this.#view(state));
    this.sandboxCheck = new SandboxCheck({
      state: () => this.state,
      sandboxOf: (state) => sandboxFor({ ...this.#outside(), state }, state.id, state.sandbox.generation),
      onGone: (generation) => this.#sandboxGone(generation),
    });
    this.keeper = new SessionKeeper({
      ctx,
      env,
      engine: () => this.engine,
      known: () => this.known,
      journal: this.journal,
      checkpoint: this.checkpoint,
      config: () => this.settings.config,
      purge: (state) =>
        sandboxFor({ ...this.#outside(), state }, state.id, state.sandbox.generation).purge(
          state.id,
          state.sandbox.generation,
        ),
      log: this.log,
    });
    this.pullRequest = new PullRequestLook({
      kv: storage.kv,
      api: () => this.#apiToLook(),
      now: Date.now,
      onStatus: (status) => this.#pullRequestSeen(status),
    });
    this.engine = sessionEngine(objectPlatform(ctx), this.#writer, {
      publish: ({ state }, written) => {
        this.broadcast.tell(state, written);
        this.log.turns(written);
      },
      prepare: (isNews) => this.settings.prepare(isNews),
      isHeld: (effect, state) => this.settings.isHeld(effect, state),
      wakeAt: (state) => this.keeper.nextAt(state),
      perform: (effects, state) => this.#perform(effects, state),
      failureOf: toFailure,
      report: (report) => this.log.report(report),
    });
    this.readOnly = this.#load();
  }

  /** Goes on from what is stored. @returns null: it could, or nothing is stored */
  #load(): ReadOnly | null {
    const loaded = loadSession(this.#ctx.storage, this.states, (state) => {
      this.settings.recall(state.workspaceId);
      this.#workspace.recall();
      this.engine.resume(state);
    });
    if (loaded.kind !== 'unreadable') return null;
    this.log.write('session.storage.unreadable', { why: loaded.why });
    return readOnly(this.#ctx.id.toString(), loaded.stored, loaded.why);
  }

  /** The state as it is stored; null if there is none, or if it cannot be gone on from. */
  get state(): SessionState | null {
    return this.engine.state;
  }

  /** What is known of the session, also of one that is read-only; null if there is none. */
  get known(): SessionState | null {
    return this.state ?? this.readOnly?.shown ?? null;
  }

  get journal(): TransitionWriter['journal'] {
    return this.#writer.journal;
  }

  get states(): StateStore {
    return this.#writer.states;
  }

  createTables(): void {
    createTables(this.#ctx.storage);
  }

  begin(about: NonNullable<Delivery['about']>, { origin }: Delivery, now: number): SessionState {
    const { workspaceId, issue, fallbackName } = about;
    const name = (issue?.identifier || fallbackName).toLowerCase().replace(/[^a-z0-9-]+/g, '-');
    return initialState({
      id: this.#ctx.id.toString(),
      workspaceId,
      origin: this.settings.config.publicUrl ?? origin,
      issue,
      branch: `cyrus/${name}`,
      conversationId: crypto.randomUUID(),
      now,
    });
  }

  /** Takes in something that happened, if there is a session. */
  commit(event: SessionEvent): void {
    if (this.state) this.engine.commit(() => this.state && { state: this.state, event });
  }

  /** What a page shows; null if there is no such session. */
  async shown(): Promise<SessionView | null> {
    const { known } = this;
    if (!known) return null;
    await this.#workspace.find(this.settings.database(), known.workspaceId, !this.readOnly, this.log.write);
    const { scripted } = this.settings.config.claude;
    return this.readOnly
      ? readOnlyView(this.readOnly, this.#workspace.name, scripted)
      : this.#view(this.state ?? known);
  }

  #view(state: SessionState): SessionView {
    return viewOf(state, {
      workspaceName: this.#workspace.name,
      scriptedModel: this.settings.config.claude.scripted,
    });
  }

  async #apiToLook(): Promise<GitHubApi | null> {
    const { known } = this;
    const { config } = this.settings;
    return known && (await apiToLook(config, this.settings.database(), known.workspaceId, known.repository));
  }

  /** Kept where it is news. */
  #pullRequestSeen({ number, state, checks, review }: PullRequestStatus): void {
    const seen: PullSummary = { state, checks, review };
    const known = this.state?.proposal?.pullRequest?.seen;
    if (known?.state === state && known.checks === checks && known.review === review) return;
    try {
      this.commit({ type: 'pull-request-seen', number, seen });
    } catch (error) {
      this.log.write('session.pull_request_mark.failed', { error: asError(error) });
    }
  }

  #sandboxGone(generation: number): void {
    try {
      this.commit({ type: 'sandbox-unreachable', generation });
    } catch (error) {
      this.log.write('session.sandbox_mark.failed', { error: asError(error) });
    }
  }

  /** What is outside of the object, as effects need it. */
  #outside() {
    const { config } = this.settings;
    const secretCopy = storedSecret(this.#ctx.storage.kv);
    return { env: this.#env, config, database: this.settings.database(), secretCopy };
  }

  #perform(effects: readonly [Effect, ...Effect[]], state: SessionState): Promise<Attempt<SessionEvent>> {
    return attempt(effects, {
      ...this.#outside(),
      state,
      journal: this.journal,
      promptText: (promptId) => this.states.promptText(promptId),
      promptsWith: (words) => this.states.promptsWith(words),
      checkpoint: () => this.checkpoint.get(),
      pushedTip: () => this.pushed.tip,
      assets: this.#assets,
      noteStatus: (status) => this.pullRequest.take(status),
    });
  }
}
