/**
 * Which prompts Claude still has to answer, read from the CLI's lines (measured with CLI 2.1.330): one `init` begins a
 * request and one `result` ends it; the result names the prompts it answers, those that were folded in included. A prompt
 * that was not folded stays open and gets a request of its own. What works in the background meanwhile is in background.ts, and
 * when a turn is over in end-of-work.ts. No I/O.
 */
import type { z } from 'zod';
import { parseJson } from '../../src/lib/parse-json.ts';
import * as lines from '../../src/protocol/claude-line.ts';
import { asFields, type ContentBlock, type Fields } from '../../src/protocol/claude-line.ts';
import { BackgroundTasks } from './background.ts';

/** A result ends a request here, also if it does not say whether it is an error. */
const resultSchema = lines.resultLineSchema.partial({ is_error: true });

/** What a line means to the driver; most mean nothing. */
export type LineMeaning =
  | { kind: 'started' }
  /** `prompts`: ids this result answers. `refused`: the API did not accept the token. `queued`: the CLI continues by itself at once. */
  | { kind: 'result'; prompts: string[]; refused: boolean; noConversation: boolean; queued: boolean }
  /** A tool asks to be let run, or for people's answer; they may take their time. `byRule`: a rule says that it has to. */
  | { kind: 'tool-asks'; requestId: string; tool: string; input: Record<string, unknown>; byRule: boolean }
  /** The CLI waits for this callback, by the name it was given when the CLI was started. */
  | { kind: 'calls-back'; requestId: string; callback: string }
  /** The CLI has carried out what it was told by a control request. */
  | { kind: 'carried-out'; requestId: string }
  /** Something else that the CLI asks its host. */
  | { kind: 'asks'; requestId: string; subtype: string }
  | { kind: 'withdraws'; requestId: string }
  /** A batch of tools is done. `results`: ids of its calls, as far as they are Claude's own and not a subagent's. */
  | { kind: 'batch'; results: string[] };

export class TurnTracker {
  readonly #open = new Set<string>();
  readonly #started = new Set<string>();
  /** Calls that run, and the call of the subagent that made them; empty for Claude's own. */
  readonly #tools = new Map<string, string>();
  /** Results of Claude's own calls since its last batch was done. */
  #results: string[] = [];
  #running = false;
  readonly background = new BackgroundTasks();

  /** A prompt was handed to the CLI. */
  delivered(promptId: string): void {
    this.#open.add(promptId);
  }

  /** True while Claude itself works: from `init` until its result. */
  get running(): boolean {
    return this.#running;
  }

  /** True from the delivery of a prompt until its result, and while Claude continues by itself. Helpers do not count. */
  get busy(): boolean {
    return this.#running || this.#open.size > 0;
  }

  /** True while a tool is running, which may be silent for long. */
  get toolRunning(): boolean {
    return this.#tools.size > 0;
  }

  /** The CLI is gone. @returns the prompts it did not answer */
  abandon(): string[] {
    const prompts = [...this.#open];
    this.#open.clear();
    this.#started.clear();
    this.#tools.clear();
    this.#results = [];
    this.#running = false;
    this.background.clear();
    return prompts;
  }

  /** @param line one raw line of stdout; what is not understood means nothing */
  read(line: string): LineMeaning | null {
    // By far the most frequent lines, and never of interest here.
    if (line.startsWith('{"type":"stream_event"')) return null;
    const fields = asFields(parseJson(line));
    switch (fields?.type) {
      case 'system':
        return this.#system(fields);
      case 'assistant':
        return this.#as(lines.assistantLineSchema, fields, (said) => this.#noteCalls(said));
      case 'user':
        return this.#as(lines.userLineSchema, fields, ({ message, parent_tool_use_id: parent }) =>
          this.#finishTools(message.content, parent ?? ''),
        );
      case 'command_lifecycle':
        return this.#as(lines.commandLifecycleLineSchema, fields, ({ state, command_uuid: id }) => {
          if (state === 'started' && id !== undefined) this.#started.add(id);
          return null;
        });
      case 'control_request':
        return this.#as(lines.controlRequestLineSchema, fields, askedBy);
      case 'control_cancel_request':
        return this.#as(lines.controlCancelLineSchema, fields, ({ request_id: requestId }) => ({
          kind: 'withdraws',
          requestId,
        }));
      case 'control_response':
        return this.#as(lines.controlResponseLineSchema, fields, ({ response: { subtype, request_id: requestId } }) =>
          subtype === 'success' && requestId !== undefined ? { kind: 'carried-out', requestId } : null,
        );
      case 'result':
        return this.#as(resultSchema, fields, (result) => this.#result(result));
      default:
        return null;
    }
  }

  #as<T extends z.ZodType>(schema: T, fields: Fields, read: (line: z.infer<T>) => LineMeaning | null) {
    const parsed = schema.safeParse(fields);
    return parsed.success ? read(parsed.data) : null;
  }

  #system(fields: Fields): LineMeaning | null {
    const subtype = typeof fields.subtype === 'string' ? fields.subtype : undefined;
    this.background.read(subtype, fields, this.#running);
    if (subtype !== 'init') return null;
    this.#running = true;
    this.background.told();
    return { kind: 'started' };
  }

  #noteCalls({ message, parent_tool_use_id: parent }: lines.AssistantLine): null {
    for (const block of message.content) {
      if (block.type !== 'tool_use' || !block.id) continue;
      this.#tools.set(block.id, parent ?? '');
      const command = asFields(block.input)?.command;
      if (typeof command === 'string') this.background.called(block.id, command);
    }
    return null;
  }

  #result(result: z.infer<typeof resultSchema>): LineMeaning {
    const prompts = this.#answered(result.user_message_uuids);
    this.#running = false;
    // Helpers in the background use tools of their own.
    for (const [id, parent] of [...this.#tools]) if (parent === '') this.#tools.delete(id);
    if (this.background.helpers.length === 0) this.#tools.clear();
    const isError = result.is_error === true;
    return {
      kind: 'result',
      prompts,
      // Prompts that wait begin requests of their own.
      queued: (result.queued_turn_count ?? 0) > this.#open.size,
      refused: isError && result.api_error_status === 401,
      noConversation: isError && (result.errors ?? []).some((error) => error.includes('No conversation found')),
    };
  }

  #finishTools(content: ContentBlock[], parent: string): LineMeaning | null {
    let found = false;
    for (const block of content) {
      if (block.type !== 'tool_result' || !block.tool_use_id) continue;
      found = true;
      this.#tools.delete(block.tool_use_id);
      if (parent === '') this.#results.push(block.tool_use_id);
    }
    if (!found || [...this.#tools.values()].includes(parent)) return null;
    const results = this.#results;
    if (parent === '') this.#results = [];
    return { kind: 'batch', results: parent === '' ? results : [] };
  }

  /** A result without names answers what was begun. */
  #answered(named: string[] | undefined): string[] {
    const ids = named ?? [...this.#started];
    const prompts = ids.filter((id) => this.#open.has(id));
    for (const id of prompts) {
      this.#open.delete(id);
      this.#started.delete(id);
    }
    return prompts;
  }
}

/** What the CLI asks its host. */
function askedBy({ request_id: requestId, request }: z.infer<typeof lines.controlRequestLineSchema>): LineMeaning {
  const { subtype, tool_name: tool, callback_id: callback } = request;
  if (subtype === 'hook_callback' && callback !== undefined) return { kind: 'calls-back', requestId, callback };
  const input = asFields(request.input ?? {});
  if (subtype !== 'can_use_tool' || tool === undefined || input === null) return { kind: 'asks', requestId, subtype };
  const byRule = request.decision_reason_type === 'rule' || request.matched_ask_rule !== undefined;
  return { kind: 'tool-asks', requestId, tool, input, byRule };
}
