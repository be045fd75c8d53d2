import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { fixturePath } from './claude-fixtures.ts';

const script = new URL('../../dev/replay.ts', import.meta.url).pathname;
const directory = mkdtempSync(join(tmpdir(), 'cyrus-replay-'));
afterAll(() => rmSync(directory, { recursive: true }));

function replay(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}
function fileOf(name: string, content: string | Buffer): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

describe('npm run replay FILE', () => {
  it('prints what each line becomes, and a summary', () => {
    const { status, stdout, stderr } = replay(fixturePath('01-oneshot-partial-messages.jsonl'));
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^ +1 {2}claude-started {2}claude-opus-5-5/m);
    expect(stdout).toMatch(/3 × delta, nothing new \(signature of a thinking block\) \[22 characters\]/);
    expect(stdout).toMatch(/^ +18 {2}text \(streamed\) {2}Writing the file now\.$/m);
    expect(stdout).toMatch(/→ Linear action {2}Created \| b\.txt/);
    expect(stdout).toMatch(/→ Linear response {2}All done\./);
    expect(stdout).toMatch(/^Lines {7}63$/m);
    expect(stdout).toMatch(/^Unknown {5}0$/m);
  });

  it('prints no colours and no control characters of the stream if nobody looks at a terminal', () => {
    const file = fileOf('colours', '{"type":"x","y":"\u001b[31m"}\nplain \u001b]0;owned\u0007\n');
    const { stdout } = replay(file);
    expect(stdout.replace(/\n/g, '')).not.toMatch(/\p{Cc}/u);
    expect(stdout).toMatch(/^Unknown {5}2$/m);
  });

  it('prints entries whole with --json, one object a line', () => {
    const { stdout } = replay('--json', fixturePath('18-subagent.jsonl'));
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toHaveLength(16);
    expect(lines[2]).toMatchObject({ line: 3, entries: [{ body: { kind: 'tool-call', name: 'Agent' } }] });
    expect(lines.at(-1)).toMatchObject({ totals: { lines: 15, unknown: 0 } });
  });

  it('reads any file of lines, also an empty one', () => {
    expect(replay(fileOf('empty', '')).stdout).toMatch(/^Lines {7}0$/m);
    expect(replay(fileOf('readme', '# Not a stream\n\ntext')).stdout).toMatch(/^Unknown {5}2$/m);
  });

  it.each([
    ['a missing file', [join(directory, 'nowhere')], /no such file/],
    ['a directory', [directory], /is a directory/],
    ['a binary file', [fileOf('binary', Buffer.from([1, 0, 2]))], /is a binary file/],
    ['no file at all', [], /^replay: Usage/],
    ['an unknown option', ['--yaml', 'x'], /--yaml/],
  ])('says in one line why it cannot read %s', (_, args, reason) => {
    const { status, stdout, stderr } = replay(...args);
    expect(status).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(reason);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});
