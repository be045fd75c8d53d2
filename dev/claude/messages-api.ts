/**
 * Claude's Messages API as its documentation describes it (https://docs.claude.com/en/api/messages): what a request may
 * hold, what an answer and an error look like. What is not checked here is passed over, as new fields appear all the time.
 */
import { z } from 'zod';

const textBlock = z.looseObject({ type: z.literal('text'), text: z.string() });
const toolUseBlock = z.looseObject({
  type: z.literal('tool_use'),
  id: z.string(),
  name: z.string(),
  input: z.record(z.string(), z.unknown()),
});
const toolResultBlock = z.looseObject({
  type: z.literal('tool_result'),
  tool_use_id: z.string(),
  content: z.union([z.string(), z.array(z.looseObject({ type: z.string() }))]).optional(),
  is_error: z.boolean().optional(),
});
const known = ['text', 'tool_use', 'tool_result'];
const otherBlock = z.looseObject({ type: z.string().refine((type) => !known.includes(type)) });

const contentBlockSchema = z.union([textBlock, toolUseBlock, toolResultBlock, otherBlock]);
export type ContentBlock = z.infer<typeof contentBlockSchema>;

/** `system` entries in the middle of a conversation are what the CLI sends with its beta headers (measured with CLI 2.1.330). */
const messageSchema = z.looseObject({
  role: z.enum(['user', 'assistant', 'system']),
  content: z.union([z.string(), z.array(contentBlockSchema)]),
});
export type Message = z.infer<typeof messageSchema>;

const promptFields = {
  model: z.string().min(1),
  messages: z.array(messageSchema).min(1),
  system: z.union([z.string(), z.array(textBlock)]).optional(),
  tools: z.array(z.looseObject({ name: z.string().optional() })).optional(),
  thinking: z.looseObject({ type: z.string() }).optional(),
  output_config: z
    .looseObject({
      // https://platform.claude.com/docs/en/build-with-claude/effort
      effort: z.enum(['low', 'medium', 'high', 'xhigh', 'max']).nullish(),
      format: z.looseObject({ type: z.string(), schema: z.unknown().optional() }).nullish(),
    })
    .optional(),
};

/** Body of `POST /v1/messages`. */
export const messagesRequestSchema = z.looseObject({
  ...promptFields,
  max_tokens: z.number().int().positive(),
  stream: z.boolean().optional(),
});
export type MessagesRequest = z.infer<typeof messagesRequestSchema>;

/** Body of `POST /v1/messages/count_tokens`. */
export const countTokensRequestSchema = z.looseObject(promptFields);

export interface TokenUsage {
  input_tokens: number;
  cache_creation_input_tokens: number;
  cache_read_input_tokens: number;
  cache_creation: { ephemeral_5m_input_tokens: number; ephemeral_1h_input_tokens: number };
  output_tokens: number;
  service_tier: 'standard';
}

export type AnswerBlock =
  | { type: 'thinking'; thinking: string; signature: string }
  | { type: 'text'; text: string }
  | { type: 'tool_use'; id: string; name: string; input: Record<string, unknown> };

/** A whole answer of `POST /v1/messages`. */
export interface AnswerMessage {
  id: string;
  type: 'message';
  role: 'assistant';
  model: string;
  content: AnswerBlock[];
  stop_reason: 'end_turn' | 'tool_use' | 'max_tokens';
  stop_sequence: null;
  usage: TokenUsage;
}

/** A refusal in the API's own words. `status` is the HTTP status. */
export class ApiRefusal extends Error {
  override readonly name = 'ApiRefusal';
  readonly status: number;
  readonly type: string;
  constructor(status: number, type: string, message: string) {
    super(message);
    this.status = status;
    this.type = type;
  }
}

/** Body of every error answer. */
export function errorBody(type: string, message: string, requestId: string): object {
  return { type: 'error', error: { type, message }, request_id: requestId };
}

/**
 * Reads a request body.
 * @throws ApiRefusal 400 `invalid_request_error` that names the field, as the API does
 */
export function readBody<T>(schema: z.ZodType<T>, text: string): T {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new ApiRefusal(400, 'invalid_request_error', `The request body is not valid JSON: ${String(error)}`);
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const missing = issue?.code === 'invalid_type' && issue.message.includes('undefined');
  const message = missing ? 'Field required' : (issue?.message ?? 'invalid');
  throw new ApiRefusal(400, 'invalid_request_error', `${issue?.path.join('.') || 'body'}: ${message}`);
}

/**
 * Checks what the API demands of a conversation beyond its shape: no empty text, and each tool call answered by the
 * next user message, each answer with its call before it.
 * @throws ApiRefusal 400
 */
export function checkConversation(messages: Message[]): void {
  let open = new Set<string>();
  for (const [index, message] of messages.entries()) {
    const blocks = typeof message.content === 'string' ? [] : message.content;
    if (blocks.some((block) => block.type === 'text' && block.text === '')) {
      throw new ApiRefusal(400, 'invalid_request_error', 'messages: text content blocks must be non-empty');
    }
    if (message.role === 'system') continue;
    for (const [position, block] of blocks.entries()) {
      if (!isToolResult(block)) continue;
      if (message.role !== 'user' || !open.delete(block.tool_use_id)) {
        throw new ApiRefusal(
          400,
          'invalid_request_error',
          `messages.${index}.content.${position}: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${block.tool_use_id}. Each \`tool_result\` block must have a corresponding \`tool_use\` block in the previous message.`,
        );
      }
    }
    if (open.size > 0) {
      throw new ApiRefusal(
        400,
        'invalid_request_error',
        `messages.${index - 1}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${[...open].join(', ')}. Each \`tool_use\` block must have a corresponding \`tool_result\` block in the next message.`,
      );
    }
    open = new Set(blocks.filter(isToolUse).map((block) => block.id));
  }
}

export function isToolUse(block: ContentBlock): block is z.infer<typeof toolUseBlock> {
  return block.type === 'tool_use';
}

export function isToolResult(block: ContentBlock): block is z.infer<typeof toolResultBlock> {
  return block.type === 'tool_result';
}

export function isText(block: { type: string }): block is z.infer<typeof textBlock> {
  return block.type === 'text' && 'text' in block;
}

/** Tokens of a value as it is in the request: a rough four characters each. */
export function estimateTokens(value: unknown): number {
  return Math.ceil((typeof value === 'string' ? value : (JSON.stringify(value) ?? '')).length / 4);
}

/**
 * Usage of a request and its answer, as with prompt caching: what was there before the last answer comes from the
 * cache, the rest is written to it. Grows with the conversation.
 */
export function estimateUsage(request: MessagesRequest, outputTokens: number): TokenUsage {
  const lastAnswer = request.messages.findLastIndex((message) => message.role === 'assistant');
  const fixed = estimateTokens(request.system ?? '') + estimateTokens(request.tools ?? []);
  const old = estimateTokens(request.messages.slice(0, lastAnswer + 1));
  const fresh = estimateTokens(request.messages.slice(lastAnswer + 1));
  const cached = lastAnswer < 0 ? 0 : fixed + old;
  const written = lastAnswer < 0 ? fixed + fresh : fresh;
  return {
    input_tokens: 4,
    cache_creation_input_tokens: written,
    cache_read_input_tokens: cached,
    cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: written },
    output_tokens: outputTokens,
    service_tier: 'standard',
  };
}
