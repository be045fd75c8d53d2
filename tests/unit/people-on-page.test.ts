import { describe, expect, it } from 'vitest';
import { accessRulesSchema } from '../../src/protocol/settings/access-rules.ts';
import { nameOnPage, saidOnPage } from '../../src/session/lifecycle/narration/on-page.ts';
import { access, init, SessionPlay } from './support/session-play.ts';

const ada = { id: 'ada', email: 'ada@acme.example', name: 'Ada' };
const eve = { id: 'eve', email: 'eve@acme.example', name: 'Eve' };

function working(rules = access()): SessionPlay {
  const play = new SessionPlay();
  play.prompt('p1');
  play.started(undefined, undefined, { access: rules });
  play.report(init);
  return play;
}

function onPage(play: SessionPlay, promptId: string, person: typeof ada, text: string) {
  return play.play({
    ...{ type: 'prompted', promptId, agentSessionId: null, author: person.name, person, source: 'page', text },
  });
}

describe('what somebody says on the page who signed in', () => {
  it('has their name in the journal and, with “on the page”, in the thread in Linear', () => {
    const play = working();
    expect(play.kinds(onPage(play, 'p2', ada, 'Also add a test'))).toContain('prompt-sandbox');
    expect(play.entries.map(({ body }) => body)).toContainEqual(
      expect.objectContaining({ kind: 'prompt', author: 'Ada', source: 'page', text: 'Also add a test' }),
    );
    expect(play.said('thread-1').join('\n')).toContain('Ada on the page:\n\n> Also add a test');
  });

  it('is refused as in Linear if the rules do not let them ask, and the page says why', () => {
    const play = working(access({ workspace: accessRulesSchema.parse({ blockedUsers: ['eve@acme.example'] }) }));
    expect(play.kinds(onPage(play, 'p2', eve, 'Do something else'))).not.toContain('prompt-sandbox');
    expect(play.entries.map(({ body }) => body)).toContainEqual(
      expect.objectContaining({ kind: 'notice', text: expect.stringContaining('you are not among the people') }),
    );
    expect(play.kinds(onPage(play, 'p3', ada, 'Do this'))).toContain('prompt-sandbox');
  });

  it('stops the work in their name', () => {
    const play = working();
    play.play({ type: 'stop-requested', id: 's', agentSessionId: null, author: 'Ada', source: 'page' });
    expect(play.state.phase).toMatchObject({ name: 'stopping', author: 'Ada', words: 'Stopped by Ada on the page.' });
    expect(play.entries.map(({ body }) => body)).toContainEqual(
      expect.objectContaining({ kind: 'stop-requested', author: 'Ada' }),
    );
  });

  it('is named as who stopped the work, and so is why, though the sandbox does not confirm it', () => {
    const stop = { type: 'stop-requested', id: 's', agentSessionId: null, author: 'Ada', source: 'page' } as const;
    const stoppedByAda = working();
    stoppedByAda.play(stop);
    stoppedByAda.deadline(60_000);
    expect(stoppedByAda.state.phase.name).toBe('waiting');
    expect(stoppedByAda.closings('thread-1')).toEqual([
      expect.stringContaining('Stopped by Ada on the page. The sandbox did not confirm in time'),
    ]);
    const unassigned = working();
    unassigned.withdraw('unassigned');
    unassigned.deadline(60_000);
    const [reason] = unassigned.entries.map(({ body }) => body).filter(({ kind }) => kind === 'turn-ended');
    expect(reason).toMatchObject({
      text: expect.stringContaining(
        'Stopped, because the issue was unassigned from Cyrus. The sandbox did not confirm',
      ),
    });
  });

  it('calls nobody and shows no foreign image in the thread, whatever the name and the words are', () => {
    expect(nameOnPage('Ada\n@cyrus  x')).not.toMatch(/@cyrus|\n/);
    const said = saidOnPage('Ada', `@cyrus ![x](https://evil.example/p.png)\n${'y'.repeat(5_000)}`);
    expect(said).not.toContain('@cyrus ');
    expect(said).not.toContain('![x]');
    expect(said.length).toBeLessThan(2_300);
    for (const line of said.split('\n').slice(2)) expect(line.startsWith('> ')).toBe(true);
  });
});
