import type { JournalBody, JournalEntry } from '../../../src/protocol/journal.ts';

/** Writes a journal: entries numbered as they come, a second apart. */
export class Journal {
  readonly entries: JournalEntry[] = [];
  turn = 0;

  add(...bodies: JournalBody[]): this {
    for (const body of bodies) {
      const seq = this.entries.length + 1;
      this.entries.push({ seq, at: seq * 1000, turn: this.turn, ...body });
    }
    return this;
  }

  prompt(promptId: string, text = promptId): this {
    return this.add({ kind: 'prompt', promptId, agentSessionId: null, author: 'Ada', source: 'comment', text });
  }

  begin(turn: number, ...promptIds: string[]): this {
    this.turn = turn;
    return this.add({ kind: 'turn-started', promptIds });
  }

  call(toolUseId: string, parentToolUseId?: string, name = 'Bash'): this {
    return this.add({ kind: 'tool-call', toolUseId, name, input: { command: 'ls' }, parentToolUseId });
  }

  result(toolUseId: string, parentToolUseId?: string): this {
    return this.add({ kind: 'tool-result', toolUseId, text: 'ok', isError: false, parentToolUseId });
  }

  text(text: string, parentToolUseId?: string): this {
    return this.add({ kind: 'text', text, parentToolUseId });
  }

  end(outcome: 'completed' | 'stopped' | 'failed' = 'completed', text = 'Done.'): this {
    const rest = { reason: outcome, durationMs: 1000, usage: null, costUsd: null, numTurns: 1 };
    return this.add({ kind: 'turn-ended', outcome, text, ...rest });
  }
}
