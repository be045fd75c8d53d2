#!/usr/bin/env node
/** Stands in for the Claude CLI where only the amount of output matters: a prompt that is a number gets that many lines. */
import { createInterface } from 'node:readline';

const input = createInterface({ input: process.stdin });
input.on('line', (line) => {
  const { type, uuid, message } = JSON.parse(line) as { type: string; uuid: string; message: { content: string } };
  if (type !== 'user') return;
  const out: string[] = [JSON.stringify({ type: 'system', subtype: 'init' })];
  for (let index = 0; index < Number(message.content); index++) {
    const delta = { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: `word ${index} ` } };
    out.push(JSON.stringify({ type: 'stream_event', event: delta, session_id: 'none', uuid: `line-${index}` }));
  }
  out.push(JSON.stringify({ type: 'result', is_error: false, user_message_uuids: [uuid] }));
  process.stdout.write(`${out.join('\n')}\n`);
});
input.on('close', () => process.exit(0));
