/**
 * What threads have to hear of a transition, in the order in which it happened, and what is remembered for that from one
 * transition to the next. How it is told is decided in `../narration/`.
 */
import type { SharedFile } from '../../../protocol/files.ts';
import type { JournalBody } from '../../../protocol/journal.ts';
import type { Background } from '../../../protocol/sandbox/events.ts';
import type { Verbosity } from '../../../protocol/settings/repository.ts';
import type { Effect, ThreadChange } from './effects.ts';
import type { Message } from './messages.ts';
import type { Urgency } from './post-pacing.ts';

type Body<K extends JournalBody['kind']> = Extract<JournalBody, { kind: K }>;

/** What became of the work in a pull request, or where the branch is shown. */
export type Proposed = Body<'pull-request'> | Body<'branch-link'>;

/** What the narration remembers between entries: plain, JSON-serialisable data. */
export interface NarrationState {
  /** Directory Claude works in, for relative paths. */
  cwd: string | null;
  /** Claude's last text (cut), not told yet: it may turn out to be the answer. */
  held: string | null;
  /** The last error, not told yet: it may turn out to be why the turn failed. */
  heldError: string | null;
  /** What was held back when it became known how the turn ends; what comes later belongs to the next. Left out before. */
  atEnd?: Pick<NarrationState, 'held' | 'heldError'>;
  /** Tool calls without a result yet. */
  calls: { toolUseId: string; name: string; action: string; parameter: string }[];
  /** Where the work is, from the last save. */
  saved: {
    branch: string;
    commits: number;
    newCommits: number;
    pushed: boolean;
    problem: string | null;
    /** What runs in the background; left out if nothing does. */
    background?: Background;
  } | null;
  /** Left out before there was one. */
  proposed?: Proposed;
}

/** The narration before anything happened. */
export const initialNarration: NarrationState = { cwd: null, held: null, heldError: null, calls: [], saved: null };

/**
 * What changes the narration without being told:
 * - `end-known`: how the turn ends; Claude may go on to the next request before this one's work is saved
 * - `error-explained`: the last error is told in better words
 * - `proposed`: the next answer names it, also where no turn runs any more
 */
export type Cue = { kind: 'end-known' } | { kind: 'error-explained' } | { kind: 'proposed'; proposed: Proposed };

/** What counts for how something is told, at the time when it happened. */
export interface Circumstances {
  /** Nothing may be said in Linear. */
  isMuted: boolean;
  verbosity: Verbosity;
  /** A question waits for people; what would take its place is not told. */
  isAsking: boolean;
  /** What Claude's share folder holds. */
  shared: SharedFile[];
}

/** One thing to tell, or an effect that was asked for in between: what is performed keeps the order in which it happened. */
export type Note =
  /** An entry of the journal. The first of `threads` follows the work; the others hear how it ends. */
  | { note: 'entry'; body: JournalBody; threads: string[]; as: Circumstances }
  | { note: 'message'; thread: string; message: Message; urgency: Urgency; as: Circumstances }
  | { note: 'change'; thread: string; change: ThreadChange; as: Circumstances }
  | { note: 'cue'; cue: Cue }
  | { note: 'effect'; effect: Effect };
