/** What people do on one issue, or in one document: drawn by lot, as Linear lets them. */
import { z } from 'zod';
import { RefusedError } from '../../dev/linear/refused.ts';
import type { LinearSimulator } from '../../dev/linear/simulator.ts';
import type { Random } from '../unit/support/random.ts';

const optionsSchema = z.object({ options: z.array(z.object({ value: z.string() })) });

/** Where people meet the agent. */
export interface Scene {
  kind: 'issue' | 'document';
  /** The issue's id, or the document's. */
  id: string;
}

export class People {
  readonly scene: Scene;
  readonly #linear: LinearSimulator;
  readonly #random: Random;
  #said = 0;

  private constructor(linear: LinearSimulator, random: Random, scene: Scene) {
    this.#linear = linear;
    this.#random = random;
    this.scene = scene;
  }

  /** Makes an issue or a document; nobody has spoken to the agent yet. */
  static meet(linear: LinearSimulator, random: Random): People {
    if (random.chance(0.08)) {
      const { id } = linear.createDocument({ title: 'How carts are counted', content: 'By quantity.' });
      return new People(linear, random, { kind: 'document', id });
    }
    const { id } = linear.createIssue({ title: 'The cart total ignores quantities', description: 'See the test.' });
    return new People(linear, random, { kind: 'issue', id });
  }

  /** The first word to the agent. */
  begin(): void {
    const { kind, id } = this.scene;
    if (kind === 'document') this.#linear.mentionInDocument(id, this.#words('@cyrus what does this say?'));
    else if (this.#random.chance(0.35)) this.#linear.mention(id, this.#words('please have a look'));
    else this.#linear.delegate(id, this.#random.chance(0.15) ? 'automation' : 'person');
  }

  /** One more thing that somebody does; nothing where Linear does not let them. */
  act(): void {
    try {
      if (this.answer()) return;
      if (this.scene.kind === 'document') this.#actInDocument();
      else this.#actOnIssue(this.scene.id);
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
    }
  }

  /** Answers an open question in one of the threads, or stops what asks. @returns whether there was one */
  answer(): boolean {
    const open = this.sessions().find((session) => session.status === 'awaitingInput');
    if (!open) return false;
    if (this.#random.chance(0.1)) this.#linear.stopSession(open.id);
    else if (this.#random.chance(0.6)) this.#linear.choose(open.id, this.#random.pick(optionsOf(open)));
    else this.#linear.replyToSession(open.id, this.#words('whatever the bank does'));
    return true;
  }

  sessions() {
    const { kind, id } = this.scene;
    return kind === 'issue' ? this.#linear.thread(id).sessions : this.#linear.documentThread(id).sessions;
  }

  #actInDocument(): void {
    const session = this.#random.pick(this.sessions());
    if (this.#random.chance(0.2)) this.#linear.stopSession(session.id);
    else this.#linear.replyToSession(session.id, this.#words('and now?'));
  }

  #actOnIssue(id: string): void {
    const linear = this.#linear;
    const isDelegated = linear.thread(id).issue.delegated;
    const what = this.#random.next();
    if (what < 0.45) {
      const session = this.#random.pick(this.sessions());
      linear.replyToSession(session.id, this.#words('one more thing'));
    } else if (what < 0.58) linear.stopSession(this.#random.pick(this.sessions()).id);
    else if (what < 0.66) linear.editIssue(id, { title: this.#words('The cart total, once more') });
    else if (what < 0.74) linear.comment(id, this.#words('beside the point'), { thread: 'issue' });
    else if (what < 0.8) linear.mention(id, this.#words('are you there?'));
    else if (what < 0.94) {
      if (isDelegated) linear.undelegate(id);
      else linear.delegate(id);
    } else linear.moveIssue(id, this.#random.pick(['completed', 'canceled', 'Todo']));
  }

  #words(text: string): string {
    this.#said += 1;
    return `${text} (${this.#said})`;
  }
}

function optionsOf(session: ReturnType<People['sessions']>[number]): string[] {
  const { options } = optionsSchema.parse(session.activities.at(-1)?.signalMetadata);
  return options.map(({ value }) => value);
}
