/**
 * The Claude account: one Durable Object for the deployment. It knows each token's limits and whether Claude's API takes it,
 * chooses tokens for sessions, keeps budgets, and sums up what is used. Sums go to D1 every few seconds: a crash loses no more, and
 * while D1 is away they are kept here.
 */
import { DurableObject } from 'cloudflare:workers';
import { budgetWords, hasBudget, noPriceWords, usedUpBudget } from '../../claude-quota/budget.ts';
import { costOf, expectedCost, hasPrice } from '../../claude-quota/prices.ts';
import type { Choice } from '../../claude-quota/token-pool.ts';
import { leftOf, roomAt, type Windows } from '../../claude-quota/windows.ts';
import type { Config } from '../../config/config.ts';
import { asError } from '../../lib/error.ts';
import { log } from '../../observability/log.ts';
import { audit } from '../../store/audit.ts';
import { type Database, openDatabase } from '../../store/database.ts';
import { firstValues, migrateValues } from '../../store/object-schema.ts';
import { lastConfig, settledConfig } from '../../store/settings.ts';
import { saveTokenRecords, type TokenRecord } from '../../store/usage.ts';
import { probeCredential } from './credential.ts';
import { KnownTokens } from './known-tokens.ts';
import { Overage } from './overage.ts';
import type { Asker } from './spending.ts';
import { Spending } from './spending.ts';
import { UnwrittenUse } from './unwritten-use.ts';
import type { AnswerUse } from './usage-reader.ts';

/** Sums are written this long after the first use, in ms; and again after a failure. */
const FLUSH_MS = 5_000;
const FLUSH_AGAIN_MS = 30_000;
/** A refused token is tried again at most this often, and given a real request again after this long. */
const PROBE_EVERY_MS = 60_000;
const BELIEVE_REFUSAL_MS = 10 * 60_000;

/** What a request may do: go out with this token; or not, and why. */
export type Grant =
  | { kind: 'token'; name: string; reservation: string | null }
  | Exclude<Choice, { kind: 'token' }>
  | { kind: 'over-budget'; words: string }
  /** The plan is used up, and Claude's API would serve the request all the same, for money that nobody allowed. */
  | { kind: 'beyond-plan'; windows: Windows; until: number };

/** What became of a request. */
export interface Answered {
  asker: Asker;
  token: string;
  /** Null if nothing was used. */
  use: AnswerUse | null;
  refused: boolean;
  windows: Windows | null;
  reservation: string | null;
  /** The request, where its answer did not come whole: it is charged at least what it was expected to cost. */
  unfinished: RequestSize | null;
}

/** What the cost of a request is expected by. */
export interface RequestSize {
  /** Of its body. */
  bytes: number;
  /** As the request names it. */
  model: string;
}

/** Whether a turn may begin, and with how much room. */
export interface Readiness {
  /** The limits of the token that the session would use; null: nothing is known. */
  windows: Windows | null;
  /** Why no turn may begin: Claude's API takes no token of this deployment. */
  problem: string | null;
}

/** A token as the admin API shows it. */
export interface TokenView extends TokenRecord {
  /** Share left of the scarcest window, 0 to 1. */
  left: number;
  sessions: number;
}

export class ClaudeAccount extends DurableObject<Env> {
  readonly #database: Database;
  readonly #known: KnownTokens;
  readonly #overage: Overage;
  readonly #spending: Spending;
  readonly #use: UnwrittenUse;
  readonly #models = new Map<string, string>();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    migrateValues(ctx.storage, 'claude-account', [firstValues]);
    const config = lastConfig(env, null);
    this.#database = openDatabase(env.DB, config.encryptionKey, config.oldEncryptionKey);
    this.#use = new UnwrittenUse(ctx.storage.kv);
    this.#spending = new Spending(this.#database, () => this.#use.all());
    this.#known = new KnownTokens(ctx.storage.kv, () => this.#config.limits.tokens.map(({ name }) => name));
    this.#overage = new Overage(ctx.storage.kv);
    if (!this.#use.isEmpty) ctx.waitUntil(this.#flushSoon());
    // The platform ends the object where this fails.
    void ctx.blockConcurrencyWhile(async () => {
      for (const { name, secret } of config.limits.tokens) await this.#known.identify(name, secret);
    });
  }

  /**
   * Chooses the token for a session's request and, if there are budgets, sets aside what the request may cost.
   * @param size of the request; null: not known, if none is paid for
   * @throws DatabaseError if a budget cannot be checked
   */
  async choose(asker: Asker, size: RequestSize | null): Promise<Grant> {
    await settledConfig(this.env, null);
    const now = Date.now();
    const choice = this.#known.choose(asker.session, now);
    const expected = this.#expected(size ?? { bytes: 0, model: this.#modelOf(asker.session) });
    if (choice.kind === 'full') return this.#beyond(asker, choice, expected, now);
    if (choice.kind !== 'token') return choice;
    this.#known.assign(asker.session, choice.name, now);
    if (!this.#hasBudget) return { ...choice, reservation: null };
    if (size && !hasPrice(size.model, this.#config.limits.prices)) {
      log('claude.price.missing', { session: asker.session, model: size.model });
      return { kind: 'over-budget', words: noPriceWords(size.model) };
    }
    const spent = await this.#spending.spentBy(asker);
    // Nothing is awaited between the look at what is reserved and the reservation.
    const usedUp = usedUpBudget(this.#config.limits.budgets, this.#spending.withReserved(spent, asker, now), expected);
    if (usedUp) {
      log('claude.budget.exhausted', { session: asker.session, repository: asker.repository, budget: usedUp.which });
      return { kind: 'over-budget', words: budgetWords(usedUp) };
    }
    return { ...choice, reservation: this.#spending.reserve(asker, expected, now) };
  }

  /**
   * Claude's API has begun to answer beyond the plan, which is paid for. The admin is told once for each reset.
   * @returns whether more such requests may be sent, within what the deployment allows
   */
  async beyondPlan(token: string, windows: Windows): Promise<boolean> {
    const now = Date.now();
    const known = this.#known.get(token);
    if (known.windows?.beyondPlan !== true || roomAt(known.windows, now) <= now) {
      const allowedUsd = this.#config.limits.overageUsd;
      log('alert.claude.plan_exceeded', { name: token, allowedUsd, until: roomAt(windows, now) });
    }
    this.#known.set(token, { ...known, windows: { ...windows, beyondPlan: true } });
    return this.#overageLeft(now) > 0;
  }

  /** No token has room. One that the API would serve for money all the same is used within what is allowed, and no further. */
  #beyond(asker: Asker, choice: Extract<Choice, { kind: 'full' }>, expected: number, now: number): Grant {
    const windows = this.#known.get(choice.name).windows;
    if (!windows?.beyondPlan) return choice;
    if (this.#overageLeft(now) - this.#spending.reserved(now) > expected) {
      return { kind: 'token', name: choice.name, reservation: this.#spending.reserve(asker, expected, now) };
    }
    return { kind: 'beyond-plan', windows, until: choice.until };
  }

  /** Dollars that may still be spent beyond the plan this month. */
  #overageLeft(now: number): number {
    return this.#config.limits.overageUsd - this.#overage.spent(now);
  }

  /** Takes in what a request used and what the API said of the limits. */
  async record({ asker, token, use, refused, windows, reservation, unfinished }: Answered): Promise<void> {
    const now = Date.now();
    if (reservation !== null) this.#spending.release(reservation);
    const known = this.#known.get(token);
    const isNewer = windows !== null && (known.windows === null || known.windows.at <= windows.at);
    // An answer that is no refusal of the credential proves it good.
    const isCleared = known.problem !== null && (use !== null || windows !== null);
    if (isNewer || isCleared) {
      this.#known.set(token, {
        windows: isNewer ? windows : known.windows,
        problem: isCleared ? null : known.problem,
      });
    }
    // An answer that broke off is charged by the API for what nobody read.
    const atLeast = unfinished ? this.#expected(unfinished) : 0;
    if (use !== null && windows?.beyondPlan) {
      const cost = costOf(use, use.model ?? '', this.#config.limits.prices);
      this.#overage.add(Math.max(cost, atLeast), now);
    }
    if (use?.model) this.#models.set(asker.session, use.model);
    if (use !== null || refused) await this.#add(asker, token, { use, refused, atLeast }, now);
    await this.#flushSoon();
  }

  /**
   * Claude's API does not take a token: it is out until it is replaced or proves good. The admin is told once.
   * @returns whether another token can be used instead
   */
  async tokenRefused(token: string, message: string): Promise<boolean> {
    const now = Date.now();
    const isNew = this.#known.refuse(token, message, now);
    if (isNew) {
      log('alert.claude.token_refused', { name: token, mode: this.#config.claude.access.mode, message });
      this.ctx.waitUntil(this.#audit(now, token, message));
    }
    await this.#flushSoon();
    return this.#known.choose('', now).kind === 'token';
  }

  /** Whether a session's turn may begin. Tokens that were refused are tried again now and then. */
  async readiness(session: string): Promise<Readiness> {
    await settledConfig(this.env, null);
    let choice = this.#known.choose(session, Date.now());
    if (choice.kind === 'out') {
      await this.probe(PROBE_EVERY_MS);
      choice = this.#known.choose(session, Date.now());
    }
    if (choice.kind === 'out') return { windows: null, problem: this.problem() };
    const name = choice.kind === 'token' ? choice.name : this.#config.limits.tokens[0]?.name;
    return { windows: this.#known.get(name ?? '').windows, problem: null };
  }

  /** When a session that met a limit finds room, in ms since the epoch; null if nothing is known of that. */
  room(session: string): number | null {
    const now = Date.now();
    const isKnown = this.#known.all(now).some(({ windows, isOut }) => isOut || roomAt(windows, now) > now);
    // That there is room is worth something only if there was none, or where there is another token.
    if (!isKnown && this.#config.limits.tokens.length < 2) return null;
    const choice = this.#known.choose(session, now);
    if (choice.kind === 'full') return choice.until;
    return choice.kind === 'token' ? now : null;
  }

  /** Why no token can be used, as text for the operator; null if one can. */
  problem(): string | null {
    if (this.#known.choose('', Date.now()).kind !== 'out') return null;
    const [first] = this.#config.limits.tokens;
    return this.#known.get(first?.name ?? '').problem?.message ?? "Claude's API does not take the credential.";
  }

  /** Every token, with what is known of it. */
  tokens(): TokenView[] {
    const now = Date.now();
    return this.#known.all(now).map(({ name, windows, sessions, isOut }) => ({
      token: name,
      windows,
      problem: isOut ? this.#known.get(name).problem : null,
      left: leftOf(windows, now),
      sessions,
    }));
  }

  /**
   * Asks Claude's API whether it takes the refused tokens again. Nothing is used by that.
   * @param atMostEvery ms since a token was last tried; 0: at once
   */
  async probe(atMostEvery: number): Promise<void> {
    const { tokens } = this.#config.limits;
    await Promise.all(
      tokens.map(async ({ name, secret }) => {
        const { windows, problem } = this.#known.get(name);
        if (!problem || !this.#known.isRefused(name)) return;
        if (Date.now() - problem.triedAt < atMostEvery) return;
        const status = await probeCredential(this.#config.claude, secret);
        const isGood = status !== null && status >= 200 && status < 300;
        // Whether such a token may ask for models at all is not certain: after a while a real request decides.
        const mayTry = status !== 401 && status !== null && Date.now() - problem.since > BELIEVE_REFUSAL_MS;
        const next = isGood || mayTry ? null : { ...problem, triedAt: Date.now() };
        this.#known.set(name, { windows, problem: next });
      }),
    );
    await this.#flushSoon();
  }

  /**
   * Forgets sessions that are deleted. What they used is written first, so that nothing of them is written later.
   * @throws NotMigratedError, DatabaseError
   */
  async forget(sessions: readonly string[]): Promise<void> {
    await this.#use.write(this.#database, Date.now());
    for (const session of sessions) this.#models.delete(session);
    this.#known.forget(sessions);
  }

  /** Writes what was used since the last time. Never throws. */
  override async alarm(): Promise<void> {
    const now = Date.now();
    const changed = this.#known.takeChanged();
    try {
      await this.#use.write(this.#database, now);
      const records = changed.map((token) => ({ token, ...this.#known.get(token) }));
      await saveTokenRecords(this.#database, records, now);
    } catch (error) {
      log('claude.usage_write.failed', { sums: this.#use.all().length, error: asError(error) });
      this.#known.putBack(changed);
      await this.ctx.storage.setAlarm(now + FLUSH_AGAIN_MS);
    }
  }

  /** As it is set now, or was a moment ago; `choose` and `readiness` read it again. */
  get #config(): Config {
    return lastConfig(this.env, null);
  }

  get #hasBudget(): boolean {
    return this.#config.claude.access.mode === 'api-key' && hasBudget(this.#config.limits.budgets);
  }

  #modelOf(session: string): string {
    return this.#models.get(session) ?? this.#config.claude.model;
  }

  #expected({ bytes, model }: RequestSize): number {
    return expectedCost(bytes, model, this.#config.limits.prices);
  }

  async #add(
    asker: Asker,
    token: string,
    { use, refused, atLeast }: { use: AnswerUse | null; refused: boolean; atLeast: number },
    now: number,
  ): Promise<void> {
    const tokens = {
      inputTokens: use?.inputTokens ?? 0,
      outputTokens: use?.outputTokens ?? 0,
      cacheReadTokens: use?.cacheReadTokens ?? 0,
      cacheCreationTokens: use?.cacheCreationTokens ?? 0,
    };
    const model = use?.model ?? this.#modelOf(asker.session);
    const costUsd = Math.max(use ? costOf(use, model, this.#config.limits.prices) : 0, atLeast);
    this.#use.add({
      day: new Date(now).toISOString().slice(0, 10),
      sessionId: asker.session,
      model,
      token,
      workspaceId: asker.workspace,
      repository: asker.repository,
      requests: 1,
      refused: refused ? 1 : 0,
      ...tokens,
      costUsd,
    });
    if (this.#hasBudget && costUsd > 0) await this.#spending.add(asker, costUsd, now);
  }

  async #flushSoon(): Promise<void> {
    if (this.#use.isEmpty && !this.#known.hasChanged) return;
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(Date.now() + FLUSH_MS);
  }

  /** Never rejects. */
  async #audit(at: number, token: string, message: string): Promise<void> {
    const details = { name: token, message };
    try {
      const entry = { at, actor: 'cyrus', action: 'claude.token-refused', workspaceId: null, details } as const;
      await audit(this.#database, entry);
    } catch (error) {
      log('claude.audit.failed', { error: asError(error) });
    }
  }
}

/** The one object of the deployment. */
export function claudeAccount(env: Pick<Env, 'CLAUDE_ACCOUNT'>) {
  return env.CLAUDE_ACCOUNT.getByName('claude');
}
