#!/usr/bin/env node
/** Stands in for the Claude CLI where no model can be reached: a prompt names a file, which is written. */
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const input = createInterface({ input: process.stdin });
input.on('line', (line) => {
  const { type, uuid, message } = JSON.parse(line) as { type: string; uuid: string; message: { content: string } };
  if (type !== 'user') return;
  writeFileSync(message.content, 'written without a network\n');
  console.log(JSON.stringify({ type: 'system', subtype: 'init' }));
  console.log(JSON.stringify({ type: 'result', is_error: false, user_message_uuids: [uuid] }));
});
input.on('close', () => process.exit(0));
