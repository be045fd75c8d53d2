/** The configuration as it is set for a session's workspace, and what a pause holds back. */
import type { Config } from '../config/config.ts';
import { type Database, openDatabase } from '../store/database.ts';
import { lastConfig, settledConfig } from '../store/settings.ts';
import type { Effect } from './lifecycle/model/effects.ts';
import type { SessionState } from './lifecycle/model/state.ts';
import { isHeldByPause } from './lifecycle/start/pause.ts';
import type { SessionEngine } from './storage/session-engine.ts';

export interface SessionSettingsOptions {
  env: Env;
  engine: () => SessionEngine;
  waitUntil: (work: Promise<unknown>) => void;
  /** Effects that are not carried out, whatever is set. */
  holds: (effect: Effect) => boolean;
}

/** Settings are read early in each life of the object, and again before a start. */
export class SessionSettings {
  readonly #options: SessionSettingsOptions;
  #config: Config;
  #isRead = false;

  /** @throws ConfigError if a variable is wrong */
  constructor(options: SessionSettingsOptions) {
    this.#options = options;
    this.#config = lastConfig(options.env, null);
  }

  /** As they were read last. */
  get config(): Config {
    return this.#config;
  }

  /** Takes what this isolate knows of the workspace's settings. */
  recall(workspaceId: string): void {
    this.#config = lastConfig(this.#options.env, workspaceId);
  }

  database(): Database {
    return openDatabase(this.#options.env.DB, this.#config.encryptionKey, this.#config.oldEncryptionKey);
  }

  /** Whether an effect has to wait, and what comes after it in its lane. */
  isHeld(effect: Effect, state: SessionState | null): boolean {
    return this.#options.holds(effect) || this.#isPaused(effect, state);
  }

  #isPaused(effect: Effect, state: SessionState | null): boolean {
    return this.#config.paused && state !== null && isHeldByPause(effect, state);
  }

  /** Reads what a start needs to know before one. @param isNews settings have changed. @returns null: nothing waits for it */
  prepare(isNews: boolean): Promise<void> | null {
    const engine = this.#options.engine();
    if (isNews || engine.isNext(({ kind }) => kind === 'start-sandbox')) return this.#readForStart(isNews);
    // Nothing but a start waits for them.
    if (!this.#isRead && engine.state) this.#options.waitUntil(this.#read(engine.state, false));
    return null;
  }

  async #readForStart(isNews: boolean): Promise<void> {
    const engine = this.#options.engine();
    const { state } = engine;
    if (!state) return;
    await this.#read(state, isNews);
    const { phase } = engine.state ?? state;
    const isHeld = engine.isNext((effect) => this.#isPaused(effect, engine.state));
    if (phase.name !== 'starting' || (phase.isHeld ?? false) === isHeld) return;
    engine.commit(() => engine.state && { state: engine.state, event: { type: 'start-held', isHeld } });
  }

  async #read({ workspaceId }: SessionState, isNews: boolean): Promise<void> {
    this.#isRead = true;
    this.#config = await settledConfig(this.#options.env, workspaceId, isNews);
  }
}
