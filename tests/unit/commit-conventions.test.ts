import { describe, expect, it } from 'vitest';
import { withTrailers } from '../../container/hooks/commit-message.ts';
import { repositoryInputSchema } from '../../src/protocol/api.ts';
import { repositorySettingsSchema } from '../../src/protocol/settings/repository.ts';
import { commitConventions, commitWords } from '../../src/session/effects/start/commit-conventions.ts';
import { access, SessionPlay } from './support/session-play.ts';

const author = { name: 'acme-cyrus[bot]', email: '1+acme-cyrus[bot]@users.noreply.github.com' };

function conventions(
  commits: object,
  people: { id: string; email: string | null; name?: string; outside?: true }[] = [],
) {
  const play = new SessionPlay();
  play.prompt('p1');
  const { phase } = play.state;
  if (phase.name === 'waiting') throw new Error('no turn has begun');
  const prompts = people.map((person, at) => ({ promptId: `p${at}`, agentSessionId: 'thread-1', person }));
  const state = { ...play.state, phase: { ...phase, turn: { ...phase.turn, prompts } } } as typeof play.state;
  const settings = repositorySettingsSchema.parse({ commits });
  const about = { author, role: 'debugger' as const, access: access() };
  return { ...commitConventions(state, settings, about), words: commitWords(settings, state, 'debugger').join(' ') };
}

describe('the commits of a session', () => {
  it('have the message of the repository’s template, in which the issue’s title closes nothing', () => {
    const { message, words } = conventions({ messageTemplate: '{{type}}: {{title}} ({{identifier}}) on {{branch}}' });
    expect(message).toMatch(/^fix: .+ \(ENG-1\) on \{\{branch\}\}$/);
    expect(words).toContain('fix: ');
  });

  it('name who asked as co-author, if Linear tells an address, unless that is not wanted', () => {
    const people = [
      { id: 'ada', email: 'ada@acme.example', name: 'Ada "A" <Lovelace>' },
      { id: 'ada', email: 'ada@acme.example', name: 'Ada' },
      { id: 'bo', email: 'bo@acme.example' },
      { id: 'cy', email: null },
      { id: 'guest', email: 'guest@else.example', outside: true as const },
      { id: 'evil', email: 'x@y.z>\nCo-authored-by: E <e@e.e' },
    ];
    expect(conventions({}, people).trailers).toEqual([
      'Co-authored-by: Ada <ada@acme.example>',
      'Co-authored-by: bo <bo@acme.example>',
    ]);
    expect(conventions({ coAuthor: false }, people).trailers).toEqual([]);
  });

  it('are signed off by their author if that is set', () => {
    expect(conventions({ signOff: true }).trailers).toEqual([`Signed-off-by: ${author.name} <${author.email}>`]);
  });

  it('run the repository’s hooks only if that is set, and Claude is told either way', () => {
    expect(conventions({})).toMatchObject({ hooks: false, words: expect.stringContaining('hooks are off') });
    expect(conventions({ hooks: true })).toMatchObject({ hooks: true, words: expect.stringContaining('hooks run') });
  });
});

it('a template for messages that names what is not known is refused with a message', () => {
  const settings = { commits: { messageTemplate: 'feat: {{summary}}' } };
  const parsed = repositoryInputSchema.safeParse({ cloneUrl: 'https://git.test/a/b.git', settings });
  expect(parsed.error?.issues[0]?.message).toContain('{{summary}} is not known; a message may have {{identifier}}');
});

it('last lines of a message are added once, behind those that are there, and never to an empty one', () => {
  const line = 'Signed-off-by: Cyrus <c@c.test>';
  expect(withTrailers('fix: x\n', [line])).toBe(`fix: x\n\n${line}\n`);
  expect(withTrailers('x\n\nbody: no list\nmore\n', [line])).toBe(`x\n\nbody: no list\nmore\n\n${line}\n`);
  expect(withTrailers('x\n\nFixes-by: A <a@a.test>\n# comment\n', [line])).toBe(
    `x\n\nFixes-by: A <a@a.test>\n${line}\n`,
  );
  expect(withTrailers(`x\n\n${line}\n`, [line])).toBe(`x\n\n${line}\n`);
  expect(withTrailers('\n# nothing\n', [line])).toBe('\n# nothing\n');
});
