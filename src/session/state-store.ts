/** The session's state, one row, and the texts of prompts that may have to be delivered again. */
import type { SessionState } from './state.ts';
import { type Upgraded, upgradeState } from './upgrade.ts';

export class StateStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** The state as last saved, and what was stored as it is; null for an object to which nothing has happened. */
  load(): { state: Upgraded<SessionState>; stored: unknown } | null {
    const [row] = this.#sql.exec<{ json: string }>('SELECT json FROM state').toArray();
    if (!row) return null;
    try {
      const stored: unknown = JSON.parse(row.json);
      return { state: upgradeState(stored), stored };
    } catch {
      return { state: { ok: false, why: 'its state is no JSON' }, stored: null };
    }
  }

  save(state: SessionState): void {
    this.#sql.exec('INSERT OR REPLACE INTO state (id, json) VALUES (1, ?)', JSON.stringify(state));
  }

  /** Keeps what Claude is given for a prompt. */
  keepPrompt(id: string, text: string): void {
    this.#sql.exec('INSERT OR IGNORE INTO prompts (id, text) VALUES (?, ?)', id, text);
  }

  /** Keeps the text of a prompt under another id as well. */
  copyPrompt(id: string, of: string): void {
    this.#sql.exec('INSERT OR IGNORE INTO prompts (id, text) SELECT ?, text FROM prompts WHERE id = ?', id, of);
  }

  /** Texts of prompts that hold these words. */
  promptsWith(words: string): string[] {
    const rows = this.#sql.exec<{ text: string }>('SELECT text FROM prompts WHERE instr(text, ?) > 0', words);
    return rows.toArray().map(({ text }) => text);
  }

  promptText(id: string): string | null {
    const [row] = this.#sql.exec<{ text: string }>('SELECT text FROM prompts WHERE id = ?', id).toArray();
    return row?.text ?? null;
  }
}
