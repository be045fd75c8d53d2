/**
 * Random histories of a pull request: people review it, checks fail, deliveries of GitHub come late, twice, in another order or not at
 * all, and calls to it fail. Whatever happens, each review is taken up once, each thread is answered once, and no round is one too many.
 */
import { expect, it } from 'vitest';
import type { CheckFailure } from '../../src/github/check-failures.ts';
import { isSuperseded } from '../../src/session/lifecycle/effects/index.ts';
import type { PullRequestSeen, RemarkBy } from '../../src/session/lifecycle/model/effect-results.ts';
import type { Effect, EffectOf } from '../../src/session/lifecycle/model/effects.ts';
import { ROUNDS_A_HEAD, ROUNDS_IN_ALL } from '../../src/session/lifecycle/pull-request/checks.ts';
import { histories, written } from '../histories.ts';
import { proposed, proposeIn } from './support/proposed-session.ts';
import { Random } from './support/random.ts';
import { result, type SessionPlay, saved } from './support/session-play.ts';

const HISTORIES = histories(500);
const FAILING = 0.3;
type Look = EffectOf<'look-at-pull-request'>;
type Topic = 'reviews' | 'checks' | 'state';

class History {
  readonly random: Random;
  readonly play: SessionPlay = proposed(true);
  readonly reviews: { id: string; at: number; remark: RemarkBy; counts: boolean }[] = [];
  readonly answered: number[] = [];
  /** News that were not delivered yet; `isLost`: only the list of deliveries has them. */
  #news: { topic: Topic; isLost: boolean }[] = [];
  #looks: Look[] = [];
  #failures: CheckFailure[] = [];
  #head = '1'.repeat(40);
  #count = 0;

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  run(): void {
    for (let step = 0; step < 60; step += 1) this.#step();
    // All is well again: what was lost is fetched, and everybody gets on.
    for (let round = 0; round < 40; round += 1) {
      this.#news = this.#news.map((one) => ({ ...one, isLost: false }));
      while (this.#news.length > 0) this.#deliver();
      this.#pass(120_000);
      while (this.#looks.length > 0) this.#look(false);
      this.#work();
    }
  }

  #step(): void {
    const what = this.random.next();
    if (what < 0.15) this.#review();
    else if (what < 0.25) this.#fail();
    else if (what < 0.5) this.#deliver();
    else if (what < 0.7) this.#pass(this.random.below(90_000));
    else if (what < 0.85) this.#look(this.random.chance(FAILING));
    else if (what < 0.97) this.#work();
    else this.take(this.play.prompt(`p-${this.#next()}`));
  }

  #next(): number {
    this.#count += 1;
    return this.#count;
  }

  #tell(topic: Topic): void {
    this.#news.push({ topic, isLost: this.random.chance(0.2) });
    if (this.random.chance(0.2)) this.#news.push({ topic, isLost: false });
  }

  #review(): void {
    const number = this.#next();
    const mayWrite = this.random.chance(0.8);
    const author = mayWrite ? 'ada' : 'mallory';
    const id = `review:${number}`;
    const place = { kind: 'thread', comment: number, path: 'a.js', line: 1, hunk: '' } as const;
    const person = { id: `github:${author}`, email: null };
    const by = { author, person, isBot: false, isNamedBot: false, mayWrite };
    const remark = { of: id, ...by, isReview: true, text: `remark-${number}.`, place, earlier: [] };
    this.reviews.push({ id, at: 5_000_000 + this.play.now, remark, counts: mayWrite });
    this.#tell('reviews');
  }

  #fail(): void {
    const name = this.random.pick(['test', 'lint', 'build']);
    const isOnBase = this.random.chance(0.1);
    this.#failures.push({ id: `run:${this.#next()}`, name, detail: '', isOnBase });
    this.#tell('checks');
  }

  #deliver(): void {
    const there = this.#news.filter(({ isLost }) => !isLost);
    if (there.length === 0) return;
    const news = this.random.pick(there);
    this.#news = this.#news.filter((one) => one !== news);
    this.take(this.play.play({ type: 'pull-request-news', number: 12, topic: news.topic }));
  }

  #pass(most: number): void {
    this.take(this.play.deadline(most));
  }

  /** GitHub answers the oldest question, or does not and is asked again later. */
  #look(fails: boolean): void {
    const [effect] = this.#looks;
    if (!effect || fails) return;
    this.#looks = this.#looks.slice(1);
    const { since, seen } = this.play.state.following?.reviews ?? { since: 0, seen: [] };
    const fresh = this.reviews.filter(({ id, at }) => at >= since && !seen.some((one) => one.id === id));
    const taken = fresh.slice(0, 3);
    const read = {
      looked: taken.map(({ id, at }) => ({ id, at })),
      remarks: taken.map(({ remark }) => remark),
      isMore: taken.length < fresh.length,
    };
    const isRunning = this.random.chance(0.2);
    const failures = isRunning ? [] : this.#failures;
    const outcome: PullRequestSeen = {
      seen: { state: 'open', checks: 'failed', review: 'none' },
      checks: { head: this.#head, failures, passed: [], isRunning, mode: 'repair' },
    };
    this.take(this.play.play({ type: 'effect-done', effect, result: effect.reviews ? { ...outcome, read } : outcome }));
  }

  /** Claude does what it was asked, with a commit or without. */
  #work(): void {
    const { phase } = this.play.state;
    if (phase.name === 'starting') this.take(this.play.started(undefined, 'working'));
    if (this.play.state.phase.name !== 'starting' && this.play.state.phase.name !== 'working') return;
    const asked = this.play.state.phase.turn.prompts.map(({ promptId }) => promptId);
    const commits = this.random.chance(0.5);
    if (commits) {
      this.#head = this.#next().toString(16).padStart(40, '0');
      this.#failures = [];
    }
    const report = this.play.report(
      result('Done with all of it.', asked),
      saved(this.play.state.turns, commits ? 1 : 0, this.#head),
    );
    this.take(proposeIn(this.play, report));
  }

  /** Takes in what is to be done outside, as the outbox does. */
  take(effects: Effect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'answer-review') this.answered.push(...effect.answers.map(({ place }) => commentOf(place)));
      if (effect.kind !== 'look-at-pull-request') continue;
      this.#looks = [...this.#looks.filter((one) => !isSuperseded(one, [effect])), effect];
    }
  }
}

function commentOf(place: EffectOf<'answer-review'>['answers'][number]['place']): number {
  return place.kind === 'thread' ? place.comment : 0;
}

it(`in ${written(HISTORIES)} histories each review is taken up and answered once, and rounds of repair have an end`, () => {
  let reviews = 0;
  let repairs = 0;
  for (let seed = 1; seed <= HISTORIES; seed += 1) {
    const history = new History(seed);
    history.run();
    const texts = history.play.asked.map(({ text }) => text);
    const wrong: string[] = [];
    for (const { remark, counts } of history.reviews) {
      reviews += 1;
      const times = texts.filter((text) => text.includes(remark.text)).length;
      const comment = commentOf(remark.place as { kind: 'thread'; comment: number });
      const answers = history.answered.filter((one) => one === comment).length;
      const wanted = counts ? 1 : 0;
      if (times !== wanted || answers !== wanted)
        wrong.push(`${remark.text} asked ${times}, answered ${answers} times`);
    }
    const rounds = texts.flatMap((text) => /fail at commit (\w{10})/.exec(text)?.[1] ?? []);
    repairs += rounds.length;
    const most = Math.max(0, ...rounds.map((head) => rounds.filter((one) => one === head).length));
    if (rounds.length > ROUNDS_IN_ALL || most > ROUNDS_A_HEAD)
      wrong.push(`${rounds.length} rounds, ${most} of a commit`);
    expect(wrong, `history ${seed}`).toEqual([]);
  }
  // The histories do what they are about.
  expect(reviews).toBeGreaterThan(HISTORIES);
  expect(repairs).toBeGreaterThan(HISTORIES / 2);
});
