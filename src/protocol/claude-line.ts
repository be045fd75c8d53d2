/**
 * Shapes of the lines the CLI prints with `--output-format stream-json --verbose`, as far as anyone here needs them: the
 * Worker makes the journal of them, and the sandbox server follows by them what Claude is doing.
 * Measured with CLI 2.1.330; fields never seen there follow `sdk.d.ts` of @anthropic-ai/claude-agent-sdk 0.3.330.
 *
 * Tolerant on purpose: unknown keys are ignored, everything that is not needed to give the line a meaning may be
 * missing or of another type. A line that does not even fit these shapes is kept as `unknown`.
 */
import * as z from 'zod';

/** An object, whatever is in it. */
export type Fields = Record<string, unknown>;

/** @returns the fields of an object; null for anything else, arrays too */
export function asFields(value: unknown): Fields | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : null;
}

/** A wish: the value where it has the expected type, undefined if it is missing or has another. */
function wish<T extends z.ZodType>(schema: T) {
  return schema.optional().catch(undefined);
}

const text = wish(z.string());
const number = wish(z.number());
const flag = wish(z.boolean());
const texts = wish(z.array(z.string()));

/** One content block of a message; the fields differ by `type`. */
export const contentBlockSchema = z.object({
  type: z.string(),
  text,
  thinking: text,
  id: text,
  name: text,
  server_name: text,
  input: z.unknown().optional(),
  tool_use_id: text,
  content: z.unknown().optional(),
  is_error: flag,
  source: z.unknown().optional(),
});
export type ContentBlock = z.infer<typeof contentBlockSchema>;

const contentSchema = z.union([
  z.string().transform((value): ContentBlock[] => [{ type: 'text', text: value }]),
  z.array(contentBlockSchema),
]);

const parent = wish(z.string().nullable());

/** What a line says about a failed request to Claude's API; on error messages and on results. */
const apiFailure = { api_error: text, api_error_status: number, api_error_type: text };

export const assistantLineSchema = z.object({
  message: z.object({ id: text, model: text, content: contentSchema }),
  parent_tool_use_id: parent,
  error: text,
  is_api_error_message: flag,
  ...apiFailure,
});
export type AssistantLine = z.infer<typeof assistantLineSchema>;

/** `tool_use_result` of a file edit: the lines that changed. Measured for Write; Edit and NotebookEdit per sdk-tools.d.ts. */
export const editResultSchema = z.object({
  type: text,
  filePath: z.string(),
  content: text,
  structuredPatch: z.array(
    z.object({
      oldStart: z.number().int(),
      oldLines: z.number().int(),
      newStart: z.number().int(),
      newLines: z.number().int(),
      lines: z.array(z.string()),
    }),
  ),
});

export const userLineSchema = z.object({
  message: z.object({ content: contentSchema }),
  parent_tool_use_id: parent,
  isReplay: flag,
  isSynthetic: flag,
  tool_use_result: z.unknown().optional(),
});
export type UserLine = z.infer<typeof userLineSchema>;

/** Token counts and price by model, summed by the CLI over main conversation, subagents and side requests. */
const modelUsageSchema = z.record(
  z.string(),
  z.object({
    inputTokens: number,
    outputTokens: number,
    cacheReadInputTokens: number,
    cacheCreationInputTokens: number,
    costUSD: number,
  }),
);

/** Usage as Claude's API reports it. */
const apiUsageSchema = z.object({
  input_tokens: number,
  output_tokens: number,
  cache_read_input_tokens: number,
  cache_creation_input_tokens: number,
});

export const resultLineSchema = z.object({
  subtype: text,
  is_error: z.boolean(),
  terminal_reason: text,
  startup_failure_reason: text,
  result: text,
  errors: texts,
  num_turns: number,
  duration_ms: number,
  total_cost_usd: number,
  usage: wish(apiUsageSchema),
  model_usage_since_last_result: wish(modelUsageSchema),
  permission_denials: wish(z.array(z.object({ tool_name: z.string() }))),
  user_message_uuid: text,
  /** The prompts that it answers. */
  user_message_uuids: texts,
  /** Prompts that wait at the CLI. */
  queued_turn_count: number,
  ...apiFailure,
});
export type ResultLine = z.infer<typeof resultLineSchema>;

export const rateLimitLineSchema = z.object({
  rate_limit_info: z.object({
    status: z.string(),
    /** Seconds since the epoch. */
    resetsAt: number,
    rateLimitType: text,
    utilization: number,
    /** Served beyond the plan, for money. */
    isUsingOverage: flag,
    unifiedWindows: wish(z.record(z.string(), z.object({ utilization: number, resetsAt: number, status: text }))),
  }),
});

export const controlRequestLineSchema = z.object({
  request_id: z.string(),
  request: z.object({
    subtype: z.string(),
    tool_name: text,
    tool_use_id: text,
    input: z.unknown().optional(),
    decision_reason: text,
    decision_reason_type: text,
    matched_ask_rule: z.unknown().optional(),
    /** Of a `hook_callback`: the name it was given when the CLI was started. */
    callback_id: text,
  }),
});

export const controlCancelLineSchema = z.object({ request_id: z.string() });

export const controlResponseLineSchema = z.object({
  response: z.object({ subtype: z.string(), request_id: text, error: text }),
});

/** What becomes of a prompt: `queued` when the CLI has it, `started` when it goes into the conversation. */
export const commandLifecycleLineSchema = z.object({
  type: z.literal('command_lifecycle'),
  command_uuid: text,
  state: z.string(),
});

/** A request of Claude's begins, or goes on, with these prompts read. */
export const promptsReadLineSchema = z.object({
  type: z.enum(['system', 'assistant']),
  user_message_uuids: z.array(z.string()),
});

export const toolProgressLineSchema = z.object({
  subagent_retry: wish(
    z.object({
      attempt: z.number(),
      max_retries: z.number(),
      retry_delay_ms: z.number(),
      error_status: wish(z.number().nullable()),
      error_category: text,
    }),
  ),
});

export const authStatusLineSchema = z.object({ isAuthenticating: flag, error: text });

/** Shapes of `type: "system"` lines, by subtype. */
export const systemLineSchemas = {
  init: z.object({
    model: z.string(),
    claude_code_version: text,
    cwd: z.string(),
    tools: texts,
    mcp_servers: wish(z.array(z.object({ name: z.string(), status: z.string() }))),
    permissionMode: text,
  }),
  status: z.object({
    status: wish(z.string().nullable()),
    permissionMode: text,
    compact_result: text,
    compact_error: text,
  }),
  thinking_tokens: z.object({ estimated_tokens: z.number() }),
  api_retry: z.object({
    attempt: z.number(),
    max_retries: z.number(),
    retry_delay_ms: z.number(),
    /** HTTP status; null if no answer came at all. */
    error_status: wish(z.number().nullable()),
    error: text,
  }),
  permission_denied: z.object({ tool_name: z.string(), tool_use_id: text, message: z.string() }),
  model_fallback: z.object({ trigger: text, original_model: z.string(), fallback_model: z.string() }),
  model_refusal_no_fallback: z.object({ content: z.string() }),
  compact_boundary: z.object({
    compact_metadata: z.object({ trigger: z.string(), pre_tokens: number, post_tokens: number }),
  }),
  background_tasks_changed: z.object({
    tasks: z.array(z.object({ task_id: z.string(), task_type: text, description: text })),
  }),
  task_started: z.object({
    task_id: z.string(),
    tool_use_id: text,
    description: z.string(),
    task_type: text,
    is_backgrounded: flag,
  }),
  task_progress: z.object({ task_id: z.string(), tool_use_id: text, description: z.string() }),
  task_updated: z.object({
    task_id: z.string(),
    patch: z.object({ status: text, description: text, error: text }),
  }),
  task_notification: z.object({ task_id: z.string(), tool_use_id: text, status: z.string(), summary: z.string() }),
  hook_response: z.object({ hook_name: z.string(), output: text, outcome: text }),
  informational: z.object({ content: z.string(), level: text }),
  notification: z.object({ text: z.string(), priority: text }),
  local_command_output: z.object({ content: z.string() }),
  plugin_install: z.object({ status: z.string(), name: text, error: text }),
  session_state_changed: z.object({ state: z.string() }),
  worker_shutting_down: z.object({ reason: z.string() }),
  mirror_error: z.object({ error: z.string() }),
  session_writes_lost: z.object({ error_code: z.string() }),
};
