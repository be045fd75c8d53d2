/**
 * What a sandbox says to an MCP server, as the gateway understands it: known methods, with the fields that the protocol gives them
 * and no others. The gateway rebuilds the message that it forwards from those fields: a server that ignores the case of
 * names, or takes the second of two equal names, receives nothing that was not checked here (modelcontextprotocol.io, "Base protocol"). Pure.
 */
import * as z from 'zod';

/** A message that may be forwarded, and the tool that it calls. */
export interface McpMessage {
  /** Written from the fields that are known. */
  value: object;
  /** Null: a notification, or the answer to something that the server asked. */
  id: string | number | null;
  method: string | null;
  /** What `params` are about: the name of a tool or a prompt, the address of a resource; null if it is none of these. */
  about: string | null;
}

/** Why a request is not passed on. `id`: of the message that is at fault, if it has one. */
export interface McpRefusal {
  id: string | number | null;
  /** As JSON-RPC 2.0 numbers them: `-32600` no request of the protocol, `-32601` no such method, `-32602` wrong params. */
  code: -32600 | -32601 | -32602;
  message: string;
}

/** Most messages in one request; the protocol's later versions take one. */
const MAX_MESSAGES = 50;

/**
 * Requests that a client makes. What opens a stream without end (`subscriptions/listen`) is not offered; see forwardToMcp. Where a
 * method's fields are listed, others are left out: what `tools/call` is judged by has one reading only.
 */
const METHODS = new Map<string, readonly string[] | null>([
  ['initialize', null],
  ['server/discover', null],
  ['ping', null],
  ['tools/list', null],
  ['tools/call', ['name', 'arguments', 'task', 'inputResponses', 'requestState', '_meta']],
  ['resources/list', null],
  ['resources/templates/list', null],
  ['resources/read', ['uri', 'inputResponses', 'requestState', '_meta']],
  ['resources/subscribe', ['uri', '_meta']],
  ['resources/unsubscribe', ['uri', '_meta']],
  ['prompts/list', null],
  ['prompts/get', ['name', 'arguments', 'inputResponses', 'requestState', '_meta']],
  ['completion/complete', null],
  ['logging/setLevel', null],
  ['tasks/get', null],
  ['tasks/result', null],
  ['tasks/list', null],
  ['tasks/cancel', null],
]);
const NOTIFICATIONS = new Set([
  'notifications/initialized',
  'notifications/cancelled',
  'notifications/progress',
  'notifications/roots/list_changed',
]);

const fields = z.record(z.string(), z.unknown());
const idSchema = z.union([z.string().max(1_000), z.number()]);
const requestSchema = z.object({
  jsonrpc: z.literal('2.0'),
  id: idSchema.optional(),
  method: z.string().max(200),
  params: fields.optional(),
});
const answerSchema = z.object({
  jsonrpc: z.literal('2.0'),
  id: idSchema,
  result: fields.optional(),
  error: z.object({ code: z.number(), message: z.string(), data: z.unknown().optional() }).optional(),
});

/** What becomes of a text that a tool is given. */
type Shown = (text: string) => string;

/**
 * Reads the body of a request.
 * @param body parsed JSON: a message, or a list of them; a list within a list is none
 * @param shown applied to each text among the arguments of tools
 */
export function readMcpMessages(body: unknown, shown: Shown = (text) => text): McpMessage[] | McpRefusal {
  if (!Array.isArray(body)) {
    const message = readMessage(body, shown);
    return 'code' in message ? message : [message];
  }
  if (body.length === 0 || body.length > MAX_MESSAGES) {
    return { id: null, code: -32600, message: `a request has 1 to ${MAX_MESSAGES} messages` };
  }
  const messages: McpMessage[] = [];
  for (const one of body) {
    const message = readMessage(one, shown);
    if ('code' in message) return message;
    messages.push(message);
  }
  return messages;
}

function readMessage(value: unknown, shown: Shown): McpMessage | McpRefusal {
  const id = idSchema.safeParse(isObject(value) ? value.id : undefined).data ?? null;
  if (!isObject(value)) return { id, code: -32600, message: 'a message of the protocol is an object' };
  if (value.method === undefined) return readAnswer(value, id);
  // A message that is a request and an answer is read by one as this and by another as that.
  const request = requestSchema.safeParse(value);
  if (!request.success || 'result' in value || 'error' in value) {
    return { id, code: -32600, message: 'the message is no request of JSON-RPC 2.0' };
  }
  const { method, params } = request.data;
  const isNotification = request.data.id === undefined;
  // An order without an id is carried out by servers that do not look.
  const isKnown = isNotification ? NOTIFICATIONS.has(method) : METHODS.has(method);
  if (!isKnown) return { id, code: -32601, message: `Cyrus passes on no ${JSON.stringify(method.slice(0, 100))}` };
  const about = aboutOf(method, params);
  if (about === '') return { id, code: -32602, message: `${method} says by its params what it is about` };
  const known = METHODS.get(method) ?? null;
  const rest = params === undefined ? {} : { params: known === null ? params : given(only(params, known), shown) };
  return { value: { jsonrpc: '2.0', ...(!isNotification && { id }), method, ...rest }, id, method, about };
}

/** What a client answers to what the server asked it within a stream. */
function readAnswer(value: object, id: string | number | null): McpMessage | McpRefusal {
  const answer = answerSchema.safeParse(value);
  if (!answer.success || (answer.data.result === undefined) === (answer.data.error === undefined)) {
    return { id, code: -32600, message: 'the message is neither a request nor an answer of JSON-RPC 2.0' };
  }
  return { value: answer.data, id: null, method: null, about: null };
}

/** Empty where it has to be said and is not. */
function aboutOf(method: string, params: Record<string, unknown> | undefined): string | null {
  const field =
    method === 'tools/call' || method === 'prompts/get' ? 'name' : method === 'resources/read' ? 'uri' : null;
  if (field === null) return null;
  const about = params?.[field];
  return typeof about === 'string' ? about : '';
}

function only(params: Record<string, unknown>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.flatMap((name) => (Object.hasOwn(params, name) ? [[name, params[name]]] : [])));
}

/** What a tool is given, with its texts as they are shown. */
function given(params: Record<string, unknown>, shown: Shown): Record<string, unknown> {
  const told = ['arguments', 'inputResponses'].filter((name) => Object.hasOwn(params, name));
  return { ...params, ...Object.fromEntries(told.map((name) => [name, withTexts(params[name], shown)])) };
}

/** Names of members stay. */
function withTexts(value: unknown, change: Shown): unknown {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((one) => withTexts(one, change));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withTexts(one, change)]));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
