/**
 * The live socket: a thin shell that keeps one WebSocket to the session alive for as long as the page is open. It knows
 * nothing of what frames mean; who reads them says whether they can be trusted.
 */
import { type Backoff, backoff } from '../../lib/backoff.ts';
import { PAGE_PROTOCOL, protocolMismatch } from '../../protocol/version.ts';
import {
  CLOSE_MORE,
  CLOSE_NO_SUCH_SESSION,
  CLOSE_PROTOCOL,
  CLOSE_SIGNED_OUT,
  type ViewerFrame,
} from '../../protocol/viewer.ts';
import { decodeFrame } from './decode.ts';

/** Time a socket has from its creation to its `hello`. */
export const HELLO_DEADLINE_MS = 10_000;
/** How often a live socket is asked whether it is alive. A half-open one never tells by itself. */
export const PING_EVERY_MS = 15_000;
/** Time it has to answer. */
export const PONG_DEADLINE_MS = 5_000;
/** A connection that lasted this long counts as a success: the next failure starts waiting from the shortest delay. */
const GOOD_AFTER_MS = 5_000;
const RETRIES: Backoff = { initialMs: 250, coefficient: 2, maximumMs: 10_000 };

/** The part of WebSocket that is used. */
export type Socket = Pick<WebSocket, 'send' | 'close' | 'onmessage' | 'onclose' | 'onerror'>;

/**
 * What a person may want to know of the connection. `gone`: there is no such session; `signed-out`: the person is not signed in any more;
 * no further try is made. `since`: from when on the page
 * is not live, in ms since the epoch; `problem`: why the last try failed, null before the first.
 */
export type LinkState =
  | { readonly at: 'connecting'; readonly failures: number; readonly problem: string | null; readonly since: number }
  | { readonly at: 'live' }
  | { readonly at: 'waiting'; readonly failures: number; readonly problem: string; readonly since: number }
  | { readonly at: 'gone' }
  | { readonly at: 'signed-out' }
  | { readonly at: 'closed' };

type Timer = ReturnType<typeof setTimeout>;

/** Each state carries exactly what must be undone when it is left. */
type State =
  | { at: 'connecting'; socket: Socket; deadline: Timer }
  | { at: 'live'; socket: Socket; since: number; timer: Timer; awaitingPong: boolean }
  | { at: 'waiting'; timer: Timer }
  | { at: 'gone' }
  | { at: 'signed-out' }
  | { at: 'closed' };

/** How long a page waits before it tries again, in ms. @param failures in a row, from 0. @param random in [0, 1) */
export function retryDelay(failures: number, random: number): number {
  return backoff(RETRIES, failures + 1, random);
}

export type ConnectionOptions = {
  /** Opens a socket that sends everything after the last number the page has; called for each try. */
  open: () => Socket;
  /** Reads a frame; null when it fits, otherwise why this connection cannot be trusted any more. */
  onFrame: (frame: ViewerFrame) => string | null;
  onState: (state: LinkState) => void;
  /** 0..1, for the jitter. */
  random?: () => number;
};

/** Connects at once, and again and again until `close` is called or the server says that there is nothing to see. */
export class LiveConnection {
  readonly #options: ConnectionOptions;
  #state: State = { at: 'closed' };
  #failures = 0;
  #problem: string | null = null;
  #lostAt = Date.now();
  /** The server speaks a later version of the protocol than this page. */
  #isNewer = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#connect();
  }

  /** The network or the page came back: try now if waiting, otherwise find out now whether the socket still lives. */
  wake(): void {
    if (this.#state.at === 'waiting') {
      clearTimeout(this.#state.timer);
      this.#connect();
    } else if (this.#state.at === 'live' && !this.#state.awaitingPong) {
      clearTimeout(this.#state.timer);
      this.#ping();
    }
  }

  /** Ends the connection for good. */
  close(): void {
    this.#leave();
    this.#enter({ at: 'closed' }, { at: 'closed' });
  }

  #connect(): void {
    let socket: Socket;
    try {
      socket = this.#options.open();
    } catch (error) {
      this.#retry(`the socket could not be opened: ${String(error)}`);
      return;
    }
    const deadline = setTimeout(() => this.#giveUp(socket, 'the server did not answer'), HELLO_DEADLINE_MS);
    const told = { at: 'connecting', failures: this.#failures, problem: this.#problem, since: this.#lostAt } as const;
    this.#enter({ at: 'connecting', socket, deadline }, told);
    socket.onmessage = (event) => {
      for (const line of String(event.data).split('\n')) {
        if (this.#isCurrent(socket)) this.#receive(socket, line);
      }
    };
    socket.onclose = (event) => {
      if (!this.#isCurrent(socket)) return;
      if (event.code === CLOSE_NO_SUCH_SESSION) {
        this.#leave();
        this.#enter({ at: 'gone' }, { at: 'gone' });
      } else if (event.code === CLOSE_SIGNED_OUT) {
        this.#leave();
        this.#enter({ at: 'signed-out' }, { at: 'signed-out' });
      } else if (event.code === CLOSE_MORE) {
        if (this.#state.at === 'live') this.#lostAt = Date.now();
        this.#leave();
        this.#connect();
      } else {
        this.#giveUp(socket, event.code === CLOSE_PROTOCOL ? event.reason : 'the connection was closed');
      }
    };
    // An error is always followed by a close, which is what is acted on.
    socket.onerror = null;
  }

  #receive(socket: Socket, text: string): void {
    if (text === 'pong') {
      if (this.#state.at === 'live' && this.#state.awaitingPong) {
        clearTimeout(this.#state.timer);
        this.#state.awaitingPong = false;
        this.#state.timer = setTimeout(() => this.#ping(), PING_EVERY_MS);
      }
      return;
    }
    const frame = decodeFrame(text);
    // A newer server may tell more than this page knows of.
    if (frame === 'unknown' && this.#state.at === 'live' && this.#isNewer) return;
    if (frame === null || frame === 'unknown') {
      this.#giveUp(socket, 'the server sent something this page does not understand; reloading may help');
      return;
    }
    if (this.#state.at === 'connecting' && frame.t !== 'hello') {
      this.#giveUp(socket, 'the server did not send its greeting');
      return;
    }
    if (frame.t === 'hello') this.#isNewer = (frame.protocol ?? 1) > PAGE_PROTOCOL;
    const problem = mismatchOf(frame) ?? this.#options.onFrame(frame);
    if (!this.#isCurrent(socket)) return; // The reader closed the connection.
    if (problem !== null) {
      this.#giveUp(socket, problem);
      return;
    }
    if (this.#state.at === 'connecting') {
      clearTimeout(this.#state.deadline);
      this.#problem = null;
      const timer = setTimeout(() => this.#ping(), PING_EVERY_MS);
      this.#enter({ at: 'live', socket, since: Date.now(), timer, awaitingPong: false }, { at: 'live' });
    }
  }

  #ping(): void {
    if (this.#state.at !== 'live') return;
    const { socket } = this.#state;
    this.#state.awaitingPong = true;
    this.#state.timer = setTimeout(() => this.#giveUp(socket, 'the connection went silent'), PONG_DEADLINE_MS);
    socket.send('ping');
  }

  #giveUp(socket: Socket, problem: string): void {
    if (!this.#isCurrent(socket)) return;
    if (this.#state.at === 'live') {
      if (Date.now() - this.#state.since >= GOOD_AFTER_MS) this.#failures = 0;
      this.#lostAt = Date.now();
    }
    this.#leave();
    this.#retry(problem);
  }

  #retry(problem: string): void {
    const delay = retryDelay(this.#failures, (this.#options.random ?? Math.random)());
    this.#failures += 1;
    this.#problem = problem;
    const timer = setTimeout(() => this.#connect(), delay);
    this.#enter({ at: 'waiting', timer }, { at: 'waiting', failures: this.#failures, problem, since: this.#lostAt });
  }

  /** Undoes what the state holds. A late close of this socket finds it no longer current. */
  #leave(): void {
    const state = this.#state;
    if (state.at === 'waiting' || state.at === 'live') clearTimeout(state.timer);
    if (state.at === 'connecting') clearTimeout(state.deadline);
    this.#state = { at: 'closed' };
    if (state.at === 'connecting' || state.at === 'live') state.socket.close();
  }

  #enter(state: State, told: LinkState): void {
    this.#state = state;
    this.#options.onState(told);
  }

  #isCurrent(socket: Socket): boolean {
    return (this.#state.at === 'connecting' || this.#state.at === 'live') && this.#state.socket === socket;
  }
}

/** Why page and server do not work together, as the first frame tells; null if they do. */
function mismatchOf(frame: ViewerFrame): string | null {
  if (frame.t !== 'hello') return null;
  const mismatch = protocolMismatch(
    { name: 'this page', protocol: PAGE_PROTOCOL },
    { name: 'Cyrus', protocol: frame.protocol },
  );
  return mismatch === null ? null : `${mismatch}: reload the page`;
}
