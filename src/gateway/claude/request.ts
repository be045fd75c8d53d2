/**
 * What a sandbox may ask of Claude's API. A request carries the deployment's credential, so it is read while it streams:
 * a prompt must not make the API fetch an address, start a server tool, or answer with a model that nobody chose. What is
 * allowed is what the pinned CLI was seen to send (CLI 2.1.330); `CLAUDE_API_ALLOW` adds to it. Pure.
 */
import type { ClaudeAllowance } from '../../claude-quota/api-allow-list.ts';
import { JsonReader, type JsonVisitor, NotJson } from './json-reader.ts';

/** Largest body, in bytes: the API's own limit (https://docs.claude.com/en/api/errors). */
export const MAX_REQUEST_BYTES = 32 * 1024 * 1024;
const MOST_TOKENS = 200_000;

const BODY_KEYS = new Set([
  'context_management',
  'max_tokens',
  'messages',
  'metadata',
  'model',
  'output_config',
  'output_format',
  'stop_sequences',
  'stream',
  'system',
  'temperature',
  'thinking',
  'tool_choice',
  'tools',
  'top_k',
  'top_p',
]);

/** Sources whose bytes are in the request itself. */
const SOURCE_TYPES = new Set(['base64', 'text', 'content']);
/** Members of a source that name something elsewhere. */
const FOREIGN_SOURCE = new Set(['url', 'file_id']);
const FROM_ELSEWHERE =
  'a picture or document by its address: Claude’s API would fetch it. Download the file in the sandbox and read it there';
/** Blocks that put files of an account, or another server, into a conversation. */
const REFUSED_BLOCKS = new Set(['container_upload', 'mcp_tool_use', 'mcp_tool_result']);
/**
 * Tools that the CLI runs itself have no type or `custom`. Of those that the API runs, web search alone is offered, in the version that
 * the CLI asks for: later ones run code.
 */
const TOOL_TYPES = [/^custom$/, /^web_search_20250305$/, /^tool_search_tool_(?:bm25|regex)(?:_\d{8})?$/];

/** Betas of Claude's API that the pinned CLI asks for in requests for messages. */
const BETAS = new Set([
  'advanced-tool-use-2025-11-20',
  'auto-mode-classifier-2026-07-16',
  'cache-diagnosis-2026-04-07',
  'cache-keepalive-2026-09-03',
  'claude-code-20250219',
  'claude-code-side-query-2026-09-29',
  'context-1m-2025-08-07',
  'context-hint-2026-04-09',
  'context-management-2025-06-27',
  'dangerous-tool-use-2026-09-03',
  'effort-2025-11-24',
  'extended-cache-ttl-2025-04-11',
  'fallback-credit-2026-06-01',
  'inline-tools-2026-09-15',
  'interleaved-thinking-2025-05-14',
  'message-threads-2026-08-12',
  'mid-conversation-system-2026-04-07',
  'mid-conversation-system-clear-at-2026-08-21',
  'mid-conversation-tool-changes-2026-07-01',
  'oauth-2025-04-20',
  'per-turn-control-2026-07-01',
  'prompt-caching-evict-2026-05-12',
  'prompt-caching-scope-2026-01-05',
  'redact-thinking-2026-02-12',
  'request-tags-2026-08-21',
  'structured-outputs-2025-12-15',
  'task-budgets-2026-03-13',
  'thinking-binding-controls-2026-08-01',
  'thinking-display-updates-2026-08-18',
  'thinking-resumption-2026-07-17',
  'thinking-token-count-2026-05-13',
  'tool-provenance-2026-10-26',
  'tool-search-tool-2025-10-19',
  'token-counting-2024-11-01',
  'web-search-2025-03-05',
  'web-search-results-only-2026-11-15',
]);

/** The request is not one that a sandbox may make. The message says what is refused and how an admin can allow it. */
export class RequestRefused extends Error {
  override readonly name = 'RequestRefused';
}

/**
 * Checks the header `anthropic-beta`.
 * @param header null if the request has none
 * @throws RequestRefused naming the first beta that is not known
 */
export function checkBetas(header: string | null, allowance: ClaudeAllowance): void {
  for (const beta of (header ?? '').split(',').map((name) => name.trim())) {
    if (beta === '' || BETAS.has(beta) || allowance.betas.includes(beta)) continue;
    throw new RequestRefused(
      `the beta ${short(beta)}, which the CLI of this Cyrus does not use${allowBy('beta', beta)}`,
    );
  }
}

type Place = 'body' | 'messages' | 'message' | 'content' | 'block' | 'source' | 'tools' | 'tool' | 'free';

/** Where the value of a member or an element is, by what it is in. */
function placeWithin(parent: Place, member: string | null): Place {
  switch (parent) {
    case 'body':
      if (member === 'messages') return 'messages';
      if (member === 'system') return 'content';
      return member === 'tools' ? 'tools' : 'free';
    case 'messages':
      return 'message';
    case 'tools':
      return 'tool';
    case 'message':
    case 'block':
      if (member === 'content') return 'content';
      if (member === 'source') return parent === 'block' ? 'source' : 'free';
      if (member === 'tools') return 'tools';
      return member === 'tool' ? 'tool' : 'free';
    case 'content':
      return 'block';
    case 'source':
      return member === 'content' ? 'content' : 'free';
    default:
      return 'free';
  }
}

/** Reads the body of one request as it passes. */
export class ClaudeRequestReader implements JsonVisitor {
  readonly #allowance: ClaudeAllowance;
  readonly #mayUse: (model: string) => boolean;
  readonly #reader = new JsonReader(this);
  readonly #places: { place: Place; member: string | null }[] = [];
  #bytes = 0;
  #model: string | null = null;

  /** The model that the request asks for; null before the body has come to it. */
  get model(): string | null {
    return this.#model;
  }

  /** @param mayUse whether the session may ask this model */
  constructor(allowance: ClaudeAllowance, mayUse: (model: string) => boolean) {
    this.#allowance = allowance;
    this.#mayUse = mayUse;
  }

  /** @throws RequestRefused saying what is refused */
  take(piece: Uint8Array): void {
    this.#bytes += piece.length;
    if (this.#bytes > MAX_REQUEST_BYTES) {
      throw new RequestRefused(`a body of more than ${MAX_REQUEST_BYTES / 1024 / 1024} MiB`);
    }
    asRefusal(() => this.#reader.take(piece));
  }

  /** @throws RequestRefused if the body is not whole */
  end(): void {
    asRefusal(() => this.#reader.end());
  }

  open(kind: 'object' | 'array'): void {
    const parent = this.#places.at(-1);
    const place = parent ? placeWithin(parent.place, parent.member) : 'body';
    if (place === 'body' && kind === 'array') throw new RequestRefused('a body that is no object');
    // What must be a list and is none, or the reverse, is the API's to refuse; its content is looked at all the same.
    const isList = place === 'messages' || place === 'content' || place === 'tools';
    const actual = isList && kind === 'object' ? placeWithin(place, null) : place;
    this.#places.push({ place: actual, member: null });
  }

  close(): void {
    this.#places.pop();
  }

  member(name: string): void {
    const here = this.#places.at(-1);
    if (!here) return;
    here.member = name;
    if (here.place === 'body' && !BODY_KEYS.has(name) && !this.#allowance.keys.includes(name)) {
      throw new RequestRefused(`the field ${short(name)}${allowBy('key', name)}`);
    }
    if (here.place === 'source' && FOREIGN_SOURCE.has(name)) {
      throw new RequestRefused(FROM_ELSEWHERE);
    }
  }

  wantsText(): boolean {
    const { place, member } = this.#places.at(-1) ?? { place: 'free', member: null };
    if (place === 'body') return member === 'model';
    return member === 'type' && (place === 'block' || place === 'source' || place === 'tool');
  }

  scalar(value: string | number | boolean | null, isText: boolean): void {
    const { place, member } = this.#places.at(-1) ?? { place: 'free', member: null };
    if (this.#places.length === 0) throw new RequestRefused('a body that is no object');
    if (place === 'body' && member === 'max_tokens' && typeof value === 'number' && value > MOST_TOKENS) {
      throw new RequestRefused(`max_tokens of more than ${MOST_TOKENS}`);
    }
    if (!this.wantsText()) return;
    const name = isText && value !== null ? String(value) : '';
    if (member === 'model') this.#checkModel(name);
    else this.#checkType(place, name);
  }

  #checkModel(model: string): void {
    this.#model = model;
    if (this.#mayUse(model) || this.#allowance.models.includes(model)) return;
    throw new RequestRefused(
      `the model ${short(model)}, which is not among those of this session${allowBy('model', model)}`,
    );
  }

  #checkType(place: Place, type: string): void {
    if (place === 'source' && !SOURCE_TYPES.has(type)) {
      throw new RequestRefused(
        type === 'url' ? FROM_ELSEWHERE : `a picture or document whose source is ${short(type)}`,
      );
    }
    if (place === 'block' && REFUSED_BLOCKS.has(type)) throw new RequestRefused(`a block of type ${short(type)}`);
    if (place !== 'tool' || this.#allowance.tools.includes(type)) return;
    if (!TOOL_TYPES.some((known) => known.test(type))) {
      throw new RequestRefused(`the tool type ${short(type)}, which Claude’s API would run${allowBy('tool', type)}`);
    }
  }
}

/**
 * Passes a body on while it is read, and breaks it off where it is refused: the API never has such a request whole.
 * @param onRefused called before the stream breaks
 */
export function readWhilePassing(
  body: ReadableStream<Uint8Array>,
  reader: ClaudeRequestReader,
  onRefused: (refusal: RequestRefused) => void,
): ReadableStream<Uint8Array> {
  const guarded = (controller: TransformStreamDefaultController<Uint8Array>, work: () => void) => {
    try {
      work();
    } catch (error) {
      if (error instanceof RequestRefused) onRefused(error);
      controller.error(error);
    }
  };
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform: (piece, controller) =>
        guarded(controller, () => {
          reader.take(piece);
          controller.enqueue(piece);
        }),
      flush: (controller) => guarded(controller, () => reader.end()),
    }),
  );
}

/** How much of a body is held back at most until it names its model, and until its length is known, in bytes. */
const MAX_HEAD = 64 * 1024;
const MAX_MEASURED = 8 * 1024 * 1024;

/**
 * Holds a body back until what it may cost is known: the model that it asks for, and its length where no header tells it.
 * @param passing the body, read by `reader` as it passes
 * @param length what the header says, in bytes
 * @returns the whole body, and its length
 * @throws RequestRefused if the model or the length cannot be known; what `passing` breaks with
 */
export async function holdUntilPriced(
  passing: ReadableStream<Uint8Array>,
  reader: ClaudeRequestReader,
  length: number | null,
): Promise<{ body: ReadableStream<Uint8Array>; length: number; model: string }> {
  const source = passing.getReader();
  const held: Uint8Array[] = [];
  let bytes = 0;
  let isWhole = false;
  while (!isWhole && (reader.model === null || length === null)) {
    const { done, value } = await source.read();
    if (done) isWhole = true;
    else {
      held.push(value);
      bytes += value.length;
    }
    const problem =
      reader.model === null && bytes > MAX_HEAD
        ? `a request that does not name its model within its first ${MAX_HEAD / 1024} kB, which a budget needs`
        : length === null && bytes > MAX_MEASURED
          ? `a body of more than ${MAX_MEASURED / 1024 / 1024} MiB without a length, which a budget needs (Content-Length)`
          : null;
    if (problem === null) continue;
    await source.cancel(problem);
    throw new RequestRefused(problem);
  }
  if (reader.model === null) throw new RequestRefused('a request that names no model');
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const piece = held.shift();
        if (piece) return controller.enqueue(piece);
        const { done, value } = await source.read();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => source.cancel(reason),
    },
    { highWaterMark: 0 },
  );
  return { body, length: length ?? bytes, model: reader.model };
}

/** Models by family, as aliases and names of models bear it. */
const FAMILIES = ['opus', 'sonnet', 'haiku', 'fable'] as const;

/**
 * Which models a session may ask: those it was started with, by name or family, and the small one, which the CLI takes for
 * short work of its own.
 * @param started aliases (`sonnet`) or names; left out, for tokens of before: any of Claude's
 */
export function modelsOf(started: readonly string[] | undefined): (model: string) => boolean {
  if (!started) return (model) => FAMILIES.some((family) => isOfFamily(model, family));
  const families = FAMILIES.filter((family) => family === 'haiku' || started.some((name) => isOfFamily(name, family)));
  return (model) => started.includes(model) || families.some((family) => isOfFamily(model, family));
}

function isOfFamily(model: string, family: string): boolean {
  // Bounded: a model's name, at most 8 kB, and one repetition.
  return model === family || new RegExp(`^(claude-)?([\\d-]+-)?${family}\\b`).test(model);
}

function asRefusal(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (error instanceof NotJson) throw new RequestRefused(`a body that is not plain JSON (${error.message})`);
    throw error;
  }
}

function short(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name);
}

function allowBy(kind: string, name: string): string {
  return /^[\w.[\]-]+$/.test(name) ? `. An admin can allow it: CLAUDE_API_ALLOW = "${kind}:${name.slice(0, 80)}"` : '';
}
