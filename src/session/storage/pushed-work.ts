/** What is known of a session's work outside of its sandbox: commits on the git host, and the patch of those that are not there. */
import { type PushedCommit, PushedCommits } from './pushed-commits.ts';

/** Key of the commit at which the session's branch is on the git host. */
const PUSHED_TIP = 'pushed-tip';
/** The last patch of a head that the git host does not have, as `UnpushedPatch`. */
const UNPUSHED_PATCH = 'unpushed-patch';

interface UnpushedPatch {
  turn: number;
  head: string;
}

export class PushedWork {
  readonly #storage: DurableObjectStorage;
  readonly #commits: PushedCommits;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#commits = new PushedCommits(storage.sql);
  }

  /** Commit at which the session's branch is on the git host, as far as it was pushed through the gateway; null: nothing was. */
  get tip(): string | null {
    return this.#storage.kv.get<string>(PUSHED_TIP) ?? null;
  }

  noteTip(tip: string): void {
    this.#storage.kv.put(PUSHED_TIP, tip);
  }

  /** Commits that this session has pushed, with their parents. */
  commits(): PushedCommit[] {
    return this.#commits.all();
  }

  /** Notes commits that the sandbox is about to push. */
  noteCommits(commits: PushedCommit[]): void {
    this.#storage.transactionSync(() => this.#commits.add(commits));
  }

  /** Whether a commit is on the git host, as far as is known. */
  isPushed(commit: string): boolean {
    return this.tip === commit || this.#commits.all().some(({ id }) => id === commit);
  }

  /** Whether this is the session's present work, as far as is known: at the git host, or in what was shown of it last. */
  isPresentHead(head: string): boolean {
    return this.tip === head || this.#storage.kv.get<UnpushedPatch>(UNPUSHED_PATCH)?.head === head;
  }

  /**
   * Notes that the patch of a head is about to be kept. A turn keeps one of what the git host has not.
   * @returns the head whose patch it takes the place of; null: there is none
   */
  notePatch(turn: number, head: string): string | null {
    if (this.isPresentHead(head)) return null;
    const { kv } = this.#storage;
    const before = kv.get<UnpushedPatch>(UNPUSHED_PATCH);
    kv.put(UNPUSHED_PATCH, { turn, head } satisfies UnpushedPatch);
    const isKept = before === undefined || before.turn !== turn;
    return isKept || this.#commits.all().some(({ id }) => id === before.head) ? null : before.head;
  }
}
