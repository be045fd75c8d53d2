/**
 * What the Claude account knows of each token: its limits, whether Claude's API takes it, and which sessions use it. It is kept
 * from one life of the object to the next, never with a token itself.
 */
import * as z from 'zod';
import { type Choice, chooseToken, type TokenState } from '../../claude-quota/token-pool.ts';
import { windowsSchema } from '../../claude-quota/windows.ts';
import { sha256 } from '../../lib/hex.ts';

/** A session keeps its token this long after it last used it. */
const KEEP_ASSIGNED_MS = 7 * 24 * 3_600_000;
const MAX_ASSIGNED = 2_000;
/** Kept apart: the tokens change with every answer, the long list of sessions rarely. */
const TOKENS = 'tokens';
const ASSIGNED = 'assigned';

const tokenSchema = z.object({
  windows: windowsSchema.nullable(),
  /** Why Claude's API did not take the token that has this fingerprint; times in ms since the epoch. */
  problem: z
    .object({ fingerprint: z.string(), message: z.string(), since: z.number(), triedAt: z.number() })
    .nullable(),
});
type KnownToken = z.infer<typeof tokenSchema>;

const keptSchema = z.object({
  /** By the token's name. */
  tokens: z.record(z.string(), tokenSchema),
  /** Which token a session uses, and since when; by the session's object id. */
  assigned: z.record(z.string(), z.object({ token: z.string(), at: z.number() })),
});

export class KnownTokens {
  readonly #kv: DurableObjectStorage['kv'];
  readonly #names: () => readonly string[];
  readonly #fingerprints = new Map<string, string>();
  #kept: z.infer<typeof keptSchema>;
  #changed = new Set<string>();

  /** @param names of the deployment's tokens, in their order, as they are set now */
  constructor(kv: DurableObjectStorage['kv'], names: () => readonly string[]) {
    this.#kv = kv;
    this.#names = names;
    const kept = keptSchema.safeParse({ tokens: kv.get(TOKENS) ?? {}, assigned: kv.get(ASSIGNED) ?? {} });
    this.#kept = kept.success ? kept.data : { tokens: {}, assigned: {} };
  }

  /** Learns which token has a name now: a refusal of another one that had the name before no longer counts. */
  async identify(name: string, secret: string): Promise<void> {
    this.#fingerprints.set(name, (await sha256(secret)).slice(0, 32));
  }

  /** What is known of a token; nothing, for one that was not used yet. */
  get(name: string): KnownToken {
    return this.#kept.tokens[name] ?? { windows: null, problem: null };
  }

  /** Whether Claude's API has refused the token that has this name now. */
  isRefused(name: string): boolean {
    const fingerprint = this.get(name).problem?.fingerprint;
    return fingerprint !== undefined && fingerprint === this.#fingerprints.get(name);
  }

  /** Notes what is known of a token now. */
  set(name: string, known: KnownToken): void {
    this.#kept = { ...this.#kept, tokens: { ...this.#kept.tokens, [name]: known } };
    this.#kv.put(TOKENS, this.#kept.tokens);
    this.#changed.add(name);
  }

  /**
   * Notes that Claude's API does not take a token.
   * @param now ms since the epoch
   * @returns whether that was not known
   */
  refuse(name: string, message: string, now: number): boolean {
    const fingerprint = this.#fingerprints.get(name) ?? '';
    const known = this.get(name);
    const isNew = known.problem?.fingerprint !== fingerprint;
    const since = isNew ? now : (known.problem?.since ?? now);
    this.set(name, { ...known, problem: { fingerprint, message, since, triedAt: now } });
    return isNew;
  }

  /** Names of tokens of which something else is known than when this was last asked. */
  takeChanged(): string[] {
    const changed = [...this.#changed];
    this.#changed = new Set();
    return changed;
  }

  /** Has `takeChanged` return these again: what changed could not be written. */
  putBack(changed: readonly string[]): void {
    for (const name of changed) this.#changed.add(name);
  }

  get hasChanged(): boolean {
    return this.#changed.size > 0;
  }

  /** Every token of the deployment, as the choice needs it. @param now ms since the epoch */
  all(now: number): TokenState[] {
    const counts = new Map<string, number>();
    for (const { token, at } of Object.values(this.#kept.assigned)) {
      if (now - at < KEEP_ASSIGNED_MS) counts.set(token, (counts.get(token) ?? 0) + 1);
    }
    return this.#names().map((name) => ({
      name,
      windows: this.get(name).windows,
      isOut: this.isRefused(name),
      sessions: counts.get(name) ?? 0,
    }));
  }

  /** The token for a session, which keeps the one that it has. @param now ms since the epoch */
  choose(session: string, now: number): Choice {
    return chooseToken(this.all(now), this.#kept.assigned[session]?.token ?? null, now);
  }

  /** Forgets which tokens these sessions use. */
  forget(sessions: readonly string[]): void {
    const kept = Object.entries(this.#kept.assigned).filter(([session]) => !sessions.includes(session));
    if (kept.length === Object.keys(this.#kept.assigned).length) return;
    this.#kept = { ...this.#kept, assigned: Object.fromEntries(kept) };
    this.#kv.put(ASSIGNED, this.#kept.assigned);
  }

  /** Notes which token a session uses. @param now ms since the epoch */
  assign(session: string, token: string, now: number): void {
    const present = this.#kept.assigned[session];
    if (present?.token === token && now - present.at < 3_600_000) return;
    const kept = Object.entries(this.#kept.assigned)
      .filter(([, { at }]) => now - at < KEEP_ASSIGNED_MS)
      .slice(-MAX_ASSIGNED);
    this.#kept = { ...this.#kept, assigned: { ...Object.fromEntries(kept), [session]: { token, at: now } } };
    this.#kv.put(ASSIGNED, this.#kept.assigned);
  }
}
