/**
 * Reads what an answer of Claude's API says it has used, while it passes (docs.claude.com/en/api/messages-streaming): the
 * input in `message_start`, the output in the last `message_delta`. Never keeps more than an event of a stream.
 */
import { createParser, type EventSourceParser } from 'eventsource-parser';
import * as z from 'zod';
import type { TokenCounts } from '../../claude-quota/prices.ts';
import { parseJson } from '../../lib/parse-json.ts';

/** Longest event of a stream that is looked at, and longest whole answer; what is longer passes unread. In characters. */
const MAX_EVENT = 256 * 1024;
const MAX_BODY = 8 * 1024 * 1024;

/** What a token of an answer takes of a streamed event at most, and what is around the text in it, in characters. */
const CHARACTERS_A_TOKEN = 4;
const AROUND_TEXT = 114;

/** What an answer used. `model`: as the API names it; null if it did not come to that. */
export interface AnswerUse extends Required<TokenCounts> {
  model: string | null;
}

const NOTHING: AnswerUse = {
  model: null,
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheCreationTokens: 0,
  hourCacheTokens: 0,
  webSearches: 0,
  isFast: false,
};

const count = z.number().nonnegative().optional();
const usageSchema = z.looseObject({
  input_tokens: count,
  output_tokens: count,
  cache_read_input_tokens: count,
  cache_creation_input_tokens: count,
  cache_creation: z.looseObject({ ephemeral_1h_input_tokens: count }).nullish(),
  server_tool_use: z.looseObject({ web_search_requests: count }).nullish(),
  speed: z.string().nullish(),
});
const messageSchema = z.looseObject({ model: z.string().max(200), usage: usageSchema.optional() });
const eventSchema = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('message_start'), message: messageSchema }),
  z.looseObject({ type: z.literal('message_delta'), usage: usageSchema }),
]);

export class UsageReader {
  /** Of a stream; null for one JSON text. */
  readonly #events: EventSourceParser | null;
  readonly #decoder = new TextDecoder();
  /** The JSON text so far; null once it is too long. */
  #body: string | null = '';
  /** An event of the stream was too long: the rest of its line passes unread. */
  #skipsLine = false;
  #use: AnswerUse = NOTHING;
  #isWhole = false;
  /** Tokens of output by what has passed: what an answer that breaks off has used, it does not say. */
  #passed = 0;

  /** Whether the answer said at its end what it used. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** @param contentType of the answer: a stream of events, or one JSON text */
  constructor(contentType: string | null) {
    const isStream = (contentType ?? '').includes('event-stream');
    this.#events = isStream ? this.#parser() : null;
  }

  /** The next piece of the answer. Never throws. */
  take(bytes: Uint8Array): void {
    const text = this.#decoder.decode(bytes, { stream: true });
    if (this.#events) this.#feed(this.#events, text);
    else if (this.#body !== null) this.#body = this.#body.length + text.length <= MAX_BODY ? this.#body + text : null;
  }

  /** What was used, as far as the answer came: of one that broke off, by what has passed of it. */
  end(): AnswerUse {
    if (this.#events) {
      // The last event counts also if the answer broke off right behind it.
      this.#feed(this.#events, '\n\n');
    } else if (this.#body !== null) {
      const message = messageSchema.safeParse(parseJson(this.#body));
      if (message.success) this.#message(message.data);
      this.#isWhole = message.success && message.data.usage !== undefined;
    }
    this.#body = null;
    if (this.#isWhole) return this.#use;
    return { ...this.#use, outputTokens: Math.max(this.#use.outputTokens, this.#passed) };
  }

  #parser(): EventSourceParser {
    return createParser({
      maxBufferSize: MAX_EVENT,
      onEvent: ({ data }) => this.#event(data),
      onError: ({ type }) => {
        if (type === 'max-buffer-size-exceeded') this.#skipsLine = true;
      },
    });
  }

  #feed(events: EventSourceParser, text: string): void {
    let from = 0;
    if (this.#skipsLine) {
      from = text.indexOf('\n') + 1;
      if (from === 0) return;
      this.#skipsLine = false;
      events.reset();
    }
    events.feed(text.slice(from));
  }

  /** Most events are pieces of text: what cannot be of interest is not parsed. */
  #event(data: string): void {
    if (!data.includes('"message_start"') && !data.includes('"message_delta"')) {
      if (!data.includes('"content_block_delta"')) return;
      this.#passed += Math.max(1, Math.ceil((data.length - AROUND_TEXT) / CHARACTERS_A_TOKEN));
      return;
    }
    const event = eventSchema.safeParse(parseJson(data));
    if (!event.success) return;
    if (event.data.type === 'message_start') this.#message(event.data.message);
    else {
      this.#count(event.data.usage);
      this.#isWhole = true;
    }
  }

  #message({ model, usage }: z.infer<typeof messageSchema>): void {
    this.#use = { ...this.#use, model };
    if (usage) this.#count(usage);
  }

  /** Counts are totals of the message so far; one that is left out stays. */
  #count(usage: z.infer<typeof usageSchema>): void {
    const use = this.#use;
    this.#use = {
      model: use.model,
      inputTokens: usage.input_tokens ?? use.inputTokens,
      outputTokens: usage.output_tokens ?? use.outputTokens,
      cacheReadTokens: usage.cache_read_input_tokens ?? use.cacheReadTokens,
      cacheCreationTokens: usage.cache_creation_input_tokens ?? use.cacheCreationTokens,
      hourCacheTokens: usage.cache_creation?.ephemeral_1h_input_tokens ?? use.hourCacheTokens,
      webSearches: usage.server_tool_use?.web_search_requests ?? use.webSearches,
      isFast: usage.speed == null ? use.isFast : usage.speed === 'fast',
    };
  }
}
