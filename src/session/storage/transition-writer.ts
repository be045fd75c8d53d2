/** Stores what a step of the lifecycle brings about, but for its effects: entries, state, texts of prompts. */
import type { Live } from '../../claude/stream.ts';
import type { Sql } from '../../kernel/platform.ts';
import type { JournalEntry } from '../../protocol/journal.ts';
import type { Transition } from '../lifecycle/model/transition.ts';
import { Journal } from './journal.ts';
import { StateStore } from './state-store.ts';

/** Something that a transition has put out: an entry, or a piece of one that is not whole yet. */
export type Written = { entry: JournalEntry; block: string | undefined } | { live: Live };

export class TransitionWriter {
  readonly journal: Journal;
  readonly states: StateStore;

  /** @param sql of the session, without tables or with all of them */
  constructor(sql: Sql) {
    this.journal = new Journal(sql);
    this.states = new StateStore(sql);
  }

  /** To be called inside of the step's transaction. */
  write({ state, output, effects, prompts, copies }: Transition): Written[] {
    const entries = output.flatMap((item) => ('live' in item ? [] : [item.entry]));
    const isSilent = output.length === 0 && effects.length === 0;
    const bodies = entries.map(({ body }) => body);
    const changes = this.states.save(state, { head: this.journal.head, bodies, isSilent });
    const last = entries.at(-1);
    const written = output.map((item) => {
      if ('live' in item) return item;
      const entry = this.journal.append(item.entry, item.entry === last ? changes : null);
      return { entry, block: item.entry.block };
    });
    for (const { promptId, text } of prompts) this.states.keepPrompt(promptId, text);
    for (const { promptId, of } of copies) this.states.copyPrompt(promptId, of);
    return written;
  }

  /** After a transaction that was rolled back. @param isEmpty nothing is stored */
  restore(isEmpty: boolean): void {
    this.journal.reload();
    if (isEmpty) this.states.clear();
    else this.states.reload();
  }
}
