/**
 * What people are asked while the CLI works, and what their answers do: Claude's own questions, tools that need permission, and what
 * the server asks on its own behalf. Calls on which nobody needs to decide are answered here at once.
 */
import { randomUUID } from 'node:crypto';
import { HELD_PUSH_TOOL } from '../../src/protocol/held-push.ts';
import type { Decision, SandboxCommand } from '../../src/protocol/sandbox/commands.ts';
import type { StartSession } from '../../src/protocol/sandbox/start.ts';
import { after } from '../clock.ts';
import type { ClaudeProcess } from './claude-process.ts';
import { mcpVerdict } from './mcp.ts';
import { isLookingCommand } from './read-only-commands.ts';
import { NOT_IN_THIS_SESSION } from './told-to-claude.ts';
import type { LineMeaning } from './turn-tracker.ts';

/** The session gives people ten minutes, and says so when they are over; this is for one that does not. */
const ASKED_LIMIT_MS = 15 * 60_000;

type ToolAsks = Extract<LineMeaning, { kind: 'tool-asks' }>;

export class OpenQuestions {
  readonly #start: () => StartSession;
  readonly #emit: (line: string) => void;
  /** What tools of the running CLI wait for people to answer or allow, by request, with their input. */
  readonly #ofClaude = new Map<string, Record<string, unknown>>();
  /** What the server itself asks people, by request. */
  readonly #ofServer = new Map<string, (decision: Decision | null) => void>();

  /**
   * @param start of the session, as it is now
   * @param emit tells a line as if the CLI had printed it
   */
  constructor(start: () => StartSession, emit: (line: string) => void) {
    this.#start = start;
    this.#emit = emit;
  }

  /** Whether a question is open. */
  has(requestId: string): boolean {
    return this.#ofClaude.has(requestId) || this.#ofServer.has(requestId);
  }

  /** Whether the server itself asks people something. */
  get serverWaits(): boolean {
    return this.#ofServer.size > 0;
  }

  /**
   * Answers a tool's call on which people are not asked: it runs, or is refused.
   * @returns whether it was answered; if not, people are to be asked
   */
  answerAtOnce(meaning: ToolAsks, cli: ClaudeProcess | null): boolean {
    // The server asks under this name; nobody else does.
    if (meaning.tool === HELD_PUSH_TOOL) {
      cli?.deny(meaning.requestId, NOT_IN_THIS_SESSION);
      return true;
    }
    if (this.#isForPeople(meaning)) return false;
    const runs = onlyLooks(meaning) || mcpVerdict(this.#start(), meaning.tool) === 'run';
    if (runs) cli?.answer(meaning.requestId, meaning.input);
    else cli?.deny(meaning.requestId, NOT_IN_THIS_SESSION);
    return true;
  }

  /** A tool waits for people. */
  opened({ requestId, input }: ToolAsks): void {
    this.#ofClaude.set(requestId, input);
  }

  /** The CLI no longer waits for the answer. */
  withdrawn(requestId: string): void {
    this.#ofClaude.delete(requestId);
  }

  /** Gives a tool its input, completed by people's answers. */
  answer({ requestId, input }: Extract<SandboxCommand, { type: 'answer' }>, cli: ClaudeProcess | null): void {
    this.#ofClaude.delete(requestId);
    cli?.answer(requestId, input);
  }

  /** What is allowed runs with the very input that was shown to people. */
  decide({ requestId, decision }: Extract<SandboxCommand, { type: 'decide' }>, cli: ClaudeProcess | null): void {
    this.#ofServer.get(requestId)?.(decision);
    const input = this.#ofClaude.get(requestId);
    if (!input) return;
    this.#ofClaude.delete(requestId);
    if (decision.allowed) cli?.answer(requestId, input);
    else cli?.deny(requestId, decision.message);
  }

  /**
   * Asks people on the server's own behalf, as a tool of Claude's does that needs permission.
   * @returns null if the process whose turn it is ended before, or nobody decided for longer than anybody is asked
   */
  async ask(tool: string, input: Record<string, unknown>): Promise<Decision | null> {
    const requestId = `cyrus-${randomUUID()}`;
    const decided = new Promise<Decision | null>((resolve) => this.#ofServer.set(requestId, resolve));
    const request = { subtype: 'can_use_tool', tool_name: tool, input };
    this.#emit(JSON.stringify({ type: 'control_request', request_id: requestId, request }));
    const cancelLimit = after(ASKED_LIMIT_MS, () => {
      this.#emit(JSON.stringify({ type: 'control_cancel_request', request_id: requestId }));
      this.#ofServer.get(requestId)?.(null);
    });
    try {
      return await decided;
    } finally {
      cancelLimit();
      this.#ofServer.delete(requestId);
    }
  }

  /** The CLI is gone, and with it all questions. */
  close(): void {
    this.#ofClaude.clear();
    for (const resolve of this.#ofServer.values()) resolve(null);
  }

  #isForPeople({ tool, byRule }: ToolAsks): boolean {
    const start = this.#start();
    // All calls of a server with restrictions come here.
    const verdict = mcpVerdict(start, tool);
    if (verdict !== null) return verdict === 'ask';
    return tool === 'AskUserQuestion' || byRule || start.claude.permissions?.others !== 'refuse';
  }
}

function onlyLooks({ tool, input }: ToolAsks): boolean {
  return tool === 'Bash' && typeof input.command === 'string' && isLookingCommand(input.command);
}
