/** The name of a session's workspace, for its page. */
import { asError } from '../../lib/error.ts';
import { settledWithin } from '../../lib/timeout.ts';
import type { LogEvent, LogFields } from '../../observability/log.ts';
import type { Database } from '../../store/database.ts';
import { findWorkspace } from '../../store/workspaces/workspaces.ts';

/** Key under which it is kept. */
const WORKSPACE_NAME = 'workspace-name';
/** A page waits no longer than this for it, in ms. */
const NAME_LIMIT_MS = 2_000;

export class WorkspaceName {
  readonly #kv: SyncKvStorage;
  #name = '';

  constructor(kv: SyncKvStorage) {
    this.#kv = kv;
  }

  /** Empty until it is known. */
  get name(): string {
    return this.#name;
  }

  /** Reads what was kept, of a session that is stored. */
  recall(): void {
    this.#name = this.#kv.get<string>(WORKSPACE_NAME) ?? '';
  }

  /**
   * Looks the name up, unless it is known: without it the session can be watched all the same. Never rejects, never hangs.
   * @param isKept whether it may be stored
   */
  async find(
    database: Database,
    workspaceId: string,
    isKept: boolean,
    log: (event: LogEvent, fields: LogFields) => void,
  ): Promise<void> {
    if (this.#name !== '') return;
    try {
      const workspace = await settledWithin(NAME_LIMIT_MS, findWorkspace(database, workspaceId));
      if (workspace === 'late') return;
      this.#name = workspace?.name ?? '';
      if (isKept) this.#kv.put(WORKSPACE_NAME, this.#name);
    } catch (error) {
      log('session.workspace_name.unknown', { error: asError(error) });
    }
  }
}
