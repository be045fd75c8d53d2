/** An issue's agent thread as Linear shows it, and the times that count from its webhook. */
import type { ActivityView, SessionView } from '../../dev/linear/control/views.ts';
import type { LinearSimulator } from '../../dev/linear/simulator.ts';
import { CyrusSession } from './cyrus-session.ts';
import { holds, same, until } from './run.ts';

export class LinearThread {
  readonly issue: string;
  readonly #linear: LinearSimulator;

  /** @param issue identifier, such as "ENG-1"; it has, or will have, one agent session */
  constructor(linear: LinearSimulator, issue: string) {
    this.#linear = linear;
    this.issue = issue;
  }

  /** Creates an issue and gives it to Cyrus. */
  static assign(linear: LinearSimulator, title: string, description: string): LinearThread {
    const { identifier } = linear.createIssue({ title, description });
    linear.delegate(identifier);
    return new LinearThread(linear, identifier);
  }

  /** The agent session. @throws Unkept if there is none */
  get session(): SessionView {
    const [session] = this.#linear.thread(this.issue).sessions;
    if (!session) throw new Error(`${this.issue} has no agent session`);
    return session;
  }

  /** Everything in the thread, in order, also what Linear shows no more. */
  get activities(): ActivityView[] {
    return this.session.activities;
  }

  /** What the thread shows in the end, one line each: "thought …", "action Ran npm test", "response …". */
  get shown(): string[] {
    return this.activities.filter((activity) => activity.visible).map(activityWords);
  }

  /** The live page that the thread links. */
  async livePage(): Promise<CyrusSession> {
    const link = await until(
      `the link "Live session" on ${this.issue}`,
      () => this.session.externalUrls.find((url) => url.label === 'Live session'),
      { limitMs: 10_000, describe: () => this.session },
    );
    return new CyrusSession(link.url);
  }

  /** Waits for the first thing Cyrus says. */
  firstActivity(): Promise<ActivityView> {
    return until(`the first activity on ${this.issue}`, () => this.activities.find(isByCyrus), {
      everyMs: 5,
      describe: () => this.session,
    });
  }

  /** Waits for the nth closing activity (a response or an error). */
  closing(nth = 1, limitMs = 60_000): Promise<ActivityView> {
    const look = () => this.activities.filter(isClosing)[nth - 1];
    return until(`answer ${nth} on ${this.issue}`, look, { limitMs, describe: () => this.shown.slice(-5) });
  }

  /** When the webhook of this kind left for Cyrus (epoch ms), and how long it took to be answered. */
  async webhook(action: 'created' | 'prompted', nth = 1): Promise<{ at: number; acknowledgedMs: number }> {
    const { id } = this.session;
    const attempt = await until(`the webhook "${action}" of ${this.issue}`, () => {
      const deliveries = this.#linear.deliveries({ event: 'AgentSessionEvent' });
      const ours = deliveries.filter((delivery) => delivery.action === action && delivery.body.includes(id));
      return ours[nth - 1]?.attempts[0];
    });
    same(`Cyrus answers the webhook of ${this.issue}`, attempt.status, 200);
    return { at: Date.parse(attempt.at), acknowledgedMs: attempt.ms };
  }
}

/** Whether Cyrus said it, and not a person. */
export function isByCyrus(activity: ActivityView): boolean {
  return activity.type !== 'prompt';
}

/** Whether it ends a turn. */
export function isClosing(activity: ActivityView): boolean {
  return activity.type === 'response' || activity.type === 'error';
}

/** An activity in one line. */
function activityWords({ type, content }: ActivityView): string {
  if (content.type === 'action') return `action ${content.action} ${content.parameter}`;
  return `${type} ${content.body}`;
}

/** @throws Unkept where an activity was posted twice, or says exactly what the one before it says */
export function isSaidOnce(activities: readonly ActivityView[]): void {
  const ids = activities.map((activity) => activity.id);
  same('Each activity is posted once', ids.length, new Set(ids).size);
  const shown = activities.filter((activity) => activity.visible);
  for (const [index, activity] of shown.entries()) {
    const before = shown[index - 1];
    const repeats = before !== undefined && JSON.stringify(before.content) === JSON.stringify(activity.content);
    holds('No activity repeats the one before it', !repeats, 'something new', activity.content);
  }
}
