/**
 * Which prompts Claude still has to answer, read from the CLI's lines (measured with CLI 2.1.330): one `init` begins a
 * request and one `result` ends it; the result names the prompts it answers, those that were folded in included. A prompt
 * that was not folded stays open and gets a request of its own. What works in the background meanwhile is in background.ts, and
 * when a turn is over in end-of-work.ts. No I/O.
 */
import { z } from 'zod';
import { parseJson } from '../../src/lib/parse-json.ts';
import { BackgroundTasks } from './background.ts';

const uuids = z.array(z.string()).optional();
const blockSchema = z.looseObject({
  type: z.string(),
  id: z.string().optional(),
  tool_use_id: z.string().optional(),
  input: z.unknown().optional(),
});
const commandSchema = z.looseObject({ command: z.string() });
const messageSchema = z.object({ content: z.union([z.string(), z.array(blockSchema)]) });

const lineSchema = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('system'), subtype: z.string().optional() }),
  z.looseObject({ type: z.literal('assistant'), message: messageSchema, parent_tool_use_id: z.string().nullish() }),
  z.looseObject({ type: z.literal('user'), message: messageSchema, parent_tool_use_id: z.string().nullish() }),
  z.looseObject({ type: z.literal('command_lifecycle'), command_uuid: z.string(), state: z.string() }),
  z.looseObject({
    type: z.literal('result'),
    is_error: z.boolean().optional(),
    num_turns: z.number().optional(),
    api_error_status: z.number().nullish(),
    errors: z.array(z.string()).optional(),
    user_message_uuids: uuids,
    queued_turn_count: z.number().optional(),
  }),
  z.looseObject({
    type: z.literal('control_request'),
    request_id: z.string(),
    request: z.looseObject({
      subtype: z.string(),
      callback_id: z.string().optional(),
      tool_name: z.string().optional(),
      input: z.record(z.string(), z.unknown()).optional(),
      decision_reason_type: z.string().optional(),
      matched_ask_rule: z.unknown().optional(),
    }),
  }),
  z.looseObject({ type: z.literal('control_cancel_request'), request_id: z.string() }),
  z.looseObject({
    type: z.literal('control_response'),
    response: z.looseObject({ subtype: z.string(), request_id: z.string() }),
  }),
]);

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
    const parsed = lineSchema.safeParse(parseJson(line));
    if (!parsed.success) return null;
    const event = parsed.data;
    switch (event.type) {
      case 'system':
        this.background.read(event.subtype, event, this.#running);
        if (event.subtype !== 'init') return null;
        this.#running = true;
        this.background.told();
        return { kind: 'started' };
      case 'assistant':
        for (const block of blocks(event.message.content)) {
          if (block.type !== 'tool_use' || !block.id) continue;
          this.#tools.set(block.id, event.parent_tool_use_id ?? '');
          const input = commandSchema.safeParse(block.input);
          if (input.success) this.background.called(block.id, input.data.command);
        }
        return null;
      case 'user':
        return this.#finishTools(event.message.content, event.parent_tool_use_id ?? '');
      case 'command_lifecycle':
        if (event.state === 'started') this.#started.add(event.command_uuid);
        return null;
      case 'control_request': {
        const { subtype, tool_name: tool, input = {}, decision_reason_type, matched_ask_rule } = event.request;
        const { callback_id: callback } = event.request;
        const requestId = event.request_id;
        if (subtype === 'hook_callback' && callback !== undefined) return { kind: 'calls-back', requestId, callback };
        if (subtype !== 'can_use_tool' || tool === undefined) return { kind: 'asks', requestId, subtype };
        const byRule = decision_reason_type === 'rule' || matched_ask_rule !== undefined;
        return { kind: 'tool-asks', requestId, tool, input, byRule };
      }
      case 'control_cancel_request':
        return { kind: 'withdraws', requestId: event.request_id };
      case 'control_response': {
        const { subtype, request_id: requestId } = event.response;
        return subtype === 'success' ? { kind: 'carried-out', requestId } : null;
      }
      case 'result': {
        const prompts = this.#answered(event.user_message_uuids);
        this.#running = false;
        // Helpers in the background use tools of their own.
        for (const [id, parent] of [...this.#tools]) if (parent === '') this.#tools.delete(id);
        if (this.background.helpers.length === 0) this.#tools.clear();
        return {
          kind: 'result',
          prompts,
          // Prompts that wait begin requests of their own.
          queued: (event.queued_turn_count ?? 0) > this.#open.size,
          refused: event.is_error === true && event.api_error_status === 401,
          noConversation:
            event.is_error === true && (event.errors ?? []).some((error) => error.includes('No conversation found')),
        };
      }
    }
  }

  #finishTools(content: z.infer<typeof messageSchema>['content'], parent: string): LineMeaning | null {
    let found = false;
    for (const block of blocks(content)) {
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

function blocks(content: z.infer<typeof messageSchema>['content']): z.infer<typeof blockSchema>[] {
  return typeof content === 'string' ? [] : content;
}
