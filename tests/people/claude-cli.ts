#!/usr/bin/env node
/**
 * Plays the Claude CLI for the story of other people: what a prompt holds between the lines `#!claude` and `#!end` is run by
 * bash in the worktree, then the turn ends as the real one does, after the host was asked whether it may. Told that not
 * everything could be kept, it merges what is on the host, where the prompt says so (`#!merge`).
 */
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';

const MERGE =
  'git fetch -q origin; git merge -q --no-edit -X ours "origin/$(git rev-parse --abbrev-ref HEAD)" || git merge --abort || true';

let beforeEnd: string | null = null;
let waiting: { request: string; prompt: { uuid: string; content: string }; again: boolean } | null = null;

const write = (line: unknown) => console.log(JSON.stringify(line));
const run = (script: string) => spawnSync('bash', ['-c', script], { stdio: 'ignore' });

function askToEnd(prompt: { uuid: string; content: string }, again: boolean): void {
  if (beforeEnd === null) {
    end(prompt.uuid);
    return;
  }
  waiting = { request: randomUUID(), prompt, again };
  const request = { subtype: 'hook_callback', callback_id: beforeEnd, input: {} };
  write({ type: 'control_request', request_id: waiting.request, request });
}

function end(uuid: string): void {
  write({ type: 'result', is_error: false, user_message_uuids: [uuid] });
}

const input = createInterface({ input: process.stdin });
input.on('line', (line) => {
  const message = JSON.parse(line);
  if (message.type === 'control_request' && message.request.subtype === 'initialize') {
    beforeEnd = message.request.hooks?.Stop?.[0]?.hookCallbackIds?.[0] ?? null;
    write({ type: 'control_response', response: { subtype: 'success', request_id: message.request_id, response: {} } });
  } else if (message.type === 'control_response' && message.response.request_id === waiting?.request) {
    const { prompt, again } = waiting as NonNullable<typeof waiting>;
    waiting = null;
    const isBlocked = message.response.response?.decision === 'block';
    if (!isBlocked || again) return end(prompt.uuid);
    if (prompt.content.includes('#!merge')) run(MERGE);
    askToEnd(prompt, true);
  } else if (message.type === 'user') {
    const { content } = message.message;
    write({ type: 'system', subtype: 'init' });
    run(/#!claude\n([\s\S]*?)\n#!end/.exec(content)?.[1] ?? 'true');
    askToEnd({ uuid: message.uuid, content }, false);
  }
});
input.on('close', () => process.exit(0));
