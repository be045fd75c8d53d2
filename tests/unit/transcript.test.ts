import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { promptsInLines } from '../../container/claude/transcript.ts';

const lines = (...all: object[]) => Buffer.from(all.map((line) => `${JSON.stringify(line)}\n`).join(''));

test('a prompt is in a checkpoint when the transcript has it as read, not where Claude merely printed its id', () => {
  const [first, folded, attached, printed] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()];
  const content = lines(
    { type: 'user', uuid: first, message: { content: 'Go.' } },
    { type: 'user', uuid: randomUUID(), source_uuid: folded },
    { type: 'attachment', uuid: randomUUID(), attachment: { source_uuid: attached } },
    { type: 'user', uuid: randomUUID(), message: { content: [{ type: 'tool_result', content: `found ${printed}` }] } },
  );
  expect(promptsInLines(content, [first, folded, attached, printed, randomUUID()])).toEqual([first, folded, attached]);
  expect(promptsInLines(Buffer.from(`no line of JSON with ${printed}\n`), [printed])).toEqual([]);
});
