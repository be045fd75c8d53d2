/**
 * What became of each command, on disk, so that a command sent twice is carried out once and one that was accepted is
 * not forgotten by a restart. Few and small: written synchronously, before the acceptance is answered.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { parseJson } from '../../src/lib/parse-json.ts';
import { type SandboxCommand, sandboxCommandSchema } from '../../src/protocol/sandbox/commands.ts';

export type Prompt = Extract<SandboxCommand, { type: 'prompt' }>;

const entrySchema = z.union([
  z.object({ accepted: sandboxCommandSchema }),
  z.object({ delivered: z.array(z.string()) }),
  z.object({ answered: z.array(z.string()) }),
  z.object({ dropped: z.array(z.string()) }),
  z.object({ saved: z.number() }),
  z.object({ unsaved: z.number() }),
]);
type Entry = z.infer<typeof entrySchema>;

type State = 'accepted' | 'delivered' | 'done';

export class CommandLog {
  readonly #path: string;
  readonly #known = new Map<string, { command: SandboxCommand; state: State }>();
  #lastTurn = 0;
  #stoppedTurn = -1;
  /** Turn whose work is not saved yet; 0 when all is. */
  #unsavedTurn = 0;

  private constructor(path: string) {
    this.#path = path;
  }

  /** Opens the log of a life. */
  static open(path: string): CommandLog {
    const log = new CommandLog(path);
    if (existsSync(path)) {
      for (const line of readFileSync(path, 'utf8').split('\n')) {
        const entry = entrySchema.safeParse(parseJson(line));
        // The last line may have been cut off by a crash: it was not acted upon.
        if (entry.success) log.#apply(entry.data);
      }
      // A cut line would swallow the next one.
      appendFileSync(path, '\n');
    }
    return log;
  }

  /**
   * Notes a command. A prompt of a turn that was stopped comes too late and is dropped.
   * @returns false when there is nothing to do about it: it is known already, or dropped
   */
  accept(command: SandboxCommand): boolean {
    if (this.#known.has(command.id)) return false;
    const tooLate = command.type === 'prompt' && command.turn <= this.#stoppedTurn;
    this.#note({ accepted: command });
    if (tooLate) this.dropped([command.id]);
    return !tooLate;
  }

  knows(id: string): boolean {
    return this.#known.has(id);
  }

  /** Prompts that were accepted but not handed to Claude, in their order. */
  get waiting(): Prompt[] {
    return this.#prompts('accepted');
  }

  /** Prompts that Claude has and has not answered. */
  get open(): Prompt[] {
    return this.#prompts('delivered');
  }

  /** Ids of all prompts, whatever became of them, in their order. */
  get promptIds(): string[] {
    const found: string[] = [];
    for (const [id, { command }] of this.#known) if (command.type === 'prompt') found.push(id);
    return found;
  }

  /** Highest turn of any prompt; 0 before the first. */
  get lastTurn(): number {
    return this.#lastTurn;
  }

  get unsavedTurn(): number {
    return this.#unsavedTurn;
  }

  /** Turn that the last stop concerns, with those before it; -1 before the first. */
  get stoppedTurn(): number {
    return this.#stoppedTurn;
  }

  /** Highest turn of these prompts; undefined if none of them is known. */
  turnOf(ids: readonly string[]): number | undefined {
    const turns = ids.flatMap((id) => {
      const command = this.#known.get(id)?.command;
      return command?.type === 'prompt' ? [command.turn] : [];
    });
    return turns.length > 0 ? Math.max(...turns) : undefined;
  }

  /** Stops that were accepted and not carried out. */
  get stopsWaiting(): string[] {
    const found: string[] = [];
    for (const [id, { command, state }] of this.#known) {
      if (command.type === 'stop' && state === 'accepted') found.push(id);
    }
    return found;
  }

  delivered(id: string): void {
    this.#note({ delivered: [id] });
  }

  answered(ids: string[]): void {
    if (ids.length > 0) this.#note({ answered: ids });
  }

  /** Prompts that will not be handed to Claude, and stops that were carried out. */
  dropped(ids: string[]): void {
    if (ids.length > 0) this.#note({ dropped: ids });
  }

  saved(turn: number): void {
    this.#note({ saved: turn });
  }

  /** An earlier incarnation did this turn's work and did not save it. */
  unsaved(turn: number): void {
    this.#note({ unsaved: turn });
  }

  #prompts(wanted: State): Prompt[] {
    const found: Prompt[] = [];
    for (const { command, state } of this.#known.values()) {
      if (command.type === 'prompt' && state === wanted) found.push(command);
    }
    return found;
  }

  #note(entry: Entry): void {
    appendFileSync(this.#path, `${JSON.stringify(entry)}\n`, { mode: 0o600 });
    this.#apply(entry);
  }

  #apply(entry: Entry): void {
    if ('accepted' in entry) {
      const command = entry.accepted;
      this.#known.set(command.id, { command, state: 'accepted' });
      if (command.type === 'prompt') this.#lastTurn = Math.max(this.#lastTurn, command.turn);
      else if (command.type === 'stop') this.#stoppedTurn = Math.max(this.#stoppedTurn, command.turn);
    } else if ('delivered' in entry) {
      for (const id of entry.delivered) {
        const found = this.#known.get(id);
        if (!found) continue;
        found.state = 'delivered';
        if (found.command.type === 'prompt') this.#unsavedTurn = Math.max(this.#unsavedTurn, found.command.turn);
      }
    } else if ('unsaved' in entry) {
      this.#unsavedTurn = Math.max(this.#unsavedTurn, entry.unsaved);
    } else if ('saved' in entry) {
      if (entry.saved >= this.#unsavedTurn) this.#unsavedTurn = 0;
    } else {
      for (const id of 'answered' in entry ? entry.answered : entry.dropped) this.#finish(id);
    }
  }

  /** Only the id is needed from now on; prompts may be long. */
  #finish(id: string): void {
    const found = this.#known.get(id);
    if (!found) return;
    found.state = 'done';
    if (found.command.type === 'prompt') found.command = { ...found.command, text: '…' };
  }
}
