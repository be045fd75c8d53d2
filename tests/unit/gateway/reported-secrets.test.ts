import { describe, expect, it } from 'vitest';
import { readReport } from '../../../src/gateway/secrets/reported-secrets.ts';
import { SecretSearch, WITHHELD } from '../../../src/gateway/secrets/secret-search.ts';

const DECOY = 'svc_0123456789abcdef0123456789abcdef01234567';
const ADMIN = 'an-admin-token-that-nobody-guesses';
const search = new SecretSearch([
  { kind: 'decoy', name: 'DEPLOY_API_KEY', text: DECOY },
  { kind: 'deployment', name: 'ADMIN_TOKEN', text: ADMIN },
]);
const report = (...events: object[]) => readReport(search, JSON.stringify({ protocol: 2, events }));
const line = (value: object) => ({ type: 'line', line: JSON.stringify(value) });
const assistant = (block: object) => line({ type: 'assistant', message: { content: [block] } });

describe('what a sandbox reports', () => {
  it('is read as it is if no secret is in it', () => {
    const events = [assistant({ type: 'text', text: 'Done: ünïcode 🙂 \\u0000' }), { type: 'notice', text: 'x' }];
    expect(report(...events)).toEqual({ value: { protocol: 2, events }, leaving: null });
    expect(readReport(search, 'no JSON').value).toBeUndefined();
  });

  it.each<[string, object, string]>([
    ['an answer', line({ type: 'result', result: `It is ${DECOY}.` }), 'what Claude said'],
    ['a thought', assistant({ type: 'text', text: `It is ${btoa(DECOY)}` }), 'what Claude said'],
    [
      'a question',
      assistant({ type: 'tool_use', name: 'AskUserQuestion', input: { q: [DECOY] } }),
      "a question of Claude's",
    ],
    ['a plan', assistant({ type: 'tool_use', name: 'TodoWrite', input: { todos: [DECOY] } }), "Claude's plan"],
    [
      'a commit message',
      { type: 'saved', branch: 'b', commits: [{ sha: 'a', subject: DECOY }] },
      'the message of a commit',
    ],
    ['a branch', { type: 'ready', branch: `cyrus/${DECOY}` }, 'the name of the branch'],
    ['a shared name', { type: 'saved', shared: [{ name: `${DECOY}.txt` }] }, 'the name of a file that Claude shared'],
  ])('has a secret of the sandbox taken out of %s, and the place is told', (_what, event, place) => {
    const { value, leaving } = report(event);
    expect(JSON.stringify(value)).not.toMatch(/0123456789abcdef/);
    expect(JSON.stringify(value)).toContain(WITHHELD);
    expect(leaving).toMatchObject({ secret: { kind: 'decoy' }, place });
  });

  it('has it taken out of what tools saw too, which is no attempt to send it', () => {
    const { value, leaving } = report(
      line({
        type: 'user',
        message: { content: [{ type: 'tool_result', content: `DEPLOY_API_KEY=${DECOY}\nHOME=/` }] },
      }),
      assistant({ type: 'tool_use', name: 'Bash', input: { command: `echo ${[...DECOY].reverse().join('')}` } }),
      { type: 'setup-output', text: DECOY },
    );
    expect(leaving).toBeNull();
    expect(JSON.stringify(value).split(WITHHELD)).toHaveLength(4);
    expect(JSON.stringify(value)).toContain('HOME=/');
  });

  it('is an alarm wherever a secret of the deployment is in it: no sandbox is given one', () => {
    const { value, leaving } = report({ type: 'stderr', text: `${ADMIN}` });
    expect(JSON.stringify(value)).not.toContain(ADMIN);
    expect(leaving).toMatchObject({ secret: { name: 'ADMIN_TOKEN' }, place: 'what the sandbox reported' });
  });
});
