/** An answer as server-sent events, in the documented order (https://docs.claude.com/en/api/messages-streaming). */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AnswerBlock, AnswerMessage } from './messages-api.ts';

export interface StreamOptions {
  /** Milliseconds between two deltas; 0: as fast as the reader reads. */
  paceMs: number;
  /** Words in one text delta. */
  wordsPerDelta: number;
  /** Milliseconds of silence before the first tool call. */
  pauseMs: number;
  /** Break off in the middle. */
  breakOff?: BreakOff;
}

/** Leave the connection open without another byte, close it, or end it with an `error` event. */
export type BreakOff = 'stall' | 'drop' | { error: object };

/** How often a `ping` is sent while nothing else is. */
const PING_MS = 10_000;
/** Without a pace, events are written together once they are this long, in UTF-16 code units. */
const FLUSH_LENGTH = 8 * 1024;

/**
 * Writes the answer to an open `text/event-stream` response, and ends it.
 * @returns when all is written, or the reader has gone
 */
export async function streamAnswer(
  response: ServerResponse,
  answer: AnswerMessage,
  options: StreamOptions,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  let unsent = '';
  const flush = async (): Promise<void> => {
    if (gone.signal.aborted || unsent === '') return;
    const flowing = response.write(unsent);
    unsent = '';
    if (!flowing) await once(response, 'drain', { signal: gone.signal }).catch(ignoreAbort);
  };
  const send = async (type: string, fields: object): Promise<void> => {
    unsent += sse(type, { type, ...fields });
    if (unsent.length > FLUSH_LENGTH) await flush();
  };
  const pause = async (ms: number): Promise<void> => {
    if (ms > 0) await flush();
    for (let left = ms; left > 0 && !gone.signal.aborted; left -= PING_MS) {
      await sleep(Math.min(left, PING_MS), undefined, { signal: gone.signal }).catch(ignoreAbort);
      if (left <= PING_MS) return;
      await send('ping', {});
      await flush();
    }
  };

  const { content, stop_reason, stop_sequence, usage } = answer;
  const started = { ...answer, content: [], stop_reason: null, usage: { ...usage, output_tokens: 1 } };
  await send('message_start', { message: started });
  let paused = options.pauseMs === 0;
  for (const [index, block] of content.entries()) {
    if (block.type === 'tool_use' && !paused) {
      paused = true;
      await pause(options.pauseMs);
    }
    await send('content_block_start', { index, content_block: emptied(block) });
    if (index === 0) await send('ping', {});
    const deltas = deltasOf(block, options.wordsPerDelta);
    const half = index === 0 && options.breakOff ? Math.floor(deltas.length / 2) : -1;
    for (const [position, delta] of deltas.entries()) {
      if (position === half) {
        if (typeof options.breakOff === 'object') unsent += sse('error', options.breakOff.error);
        await flush();
        await breakOff(response, options.breakOff, gone.signal);
        return;
      }
      await send('content_block_delta', { index, delta });
      await pause(options.paceMs);
    }
    await send('content_block_stop', { index });
  }
  await send('message_delta', { delta: { stop_reason, stop_sequence }, usage });
  await send('message_stop', {});
  response.end(unsent);
}

/** The block as `content_block_start` shows it. */
function emptied(block: AnswerBlock): object {
  if (block.type === 'text') return { type: 'text', text: '' };
  if (block.type === 'thinking') return { type: 'thinking', thinking: '', signature: '' };
  return { ...block, input: {} };
}

function deltasOf(block: AnswerBlock, wordsPerDelta: number): object[] {
  if (block.type === 'text') {
    return pieces(block.text, wordsPerDelta).map((text) => ({ type: 'text_delta', text }));
  }
  if (block.type === 'thinking') {
    const thoughts = pieces(block.thinking, wordsPerDelta).map((thinking) => ({ type: 'thinking_delta', thinking }));
    return [...thoughts, { type: 'signature_delta', signature: block.signature }];
  }
  const parts = ['', ...(JSON.stringify(block.input).match(/[\s\S]{1,200}/gu) ?? [])];
  return parts.map((partial_json) => ({ type: 'input_json_delta', partial_json }));
}

/** The text in pieces of so many words, each with the white space behind it; joined they are the text. */
function pieces(text: string, words: number): string[] {
  const all = text.match(/\s*\S+\s*/g) ?? [text];
  return Array.from({ length: Math.ceil(all.length / words) }, (_, index) =>
    all.slice(index * words, (index + 1) * words).join(''),
  );
}

function sse(type: string, data: object): string {
  return `event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
}

async function breakOff(response: ServerResponse, how: BreakOff | undefined, gone: AbortSignal): Promise<void> {
  if (how === 'drop') response.destroy();
  else if (typeof how === 'object') response.end();
  else if (!gone.aborted) await once(gone, 'abort');
}

/** Ending a wait because the reader has gone is not an error. */
function ignoreAbort(error: unknown): void {
  if (!(error instanceof Error && error.name === 'AbortError')) throw error;
}
