import { describe, expect, it } from 'vitest';
import type { SandboxEventBody } from '../../src/protocol/sandbox/events.ts';
import { withoutDisguise } from '../../src/protocol/text/visible-text.ts';
import type { Effect } from '../../src/session/lifecycle/model/effects.ts';
import { readAnswer, readPermission } from '../../src/session/lifecycle/questions/permissions.ts';
import { crashed, init, permission, question, result, SessionPlay, saved, takenBack } from './support/session-play.ts';

const MINUTE = 60_000;

/** A session whose Claude works for thread-1. */
function working(): SessionPlay {
  const play = new SessionPlay();
  play.prompt('p1');
  play.started();
  play.report(init);
  return play;
}

function asking(...bodies: Parameters<SessionPlay['report']>): SessionPlay {
  const play = working();
  play.report(...(bodies.length > 0 ? bodies : [permission('r1')]));
  return play;
}

function decisions(effects: Effect[]): [string, boolean | string][] {
  return effects
    .filter((effect) => effect.kind === 'decide-sandbox')
    .map(({ requestId, decision }) => [requestId, decision.allowed || decision.message]);
}

function asked(play: SessionPlay, thread = 'thread-1'): string[] {
  return play.said(thread).filter((said) => said.startsWith('elicitation'));
}

function notices(play: SessionPlay): string[] {
  return play.entries.map(({ body }) => (body.kind === 'notice' ? body.text : '')).filter((text) => text !== '');
}

const questionOf = (input: unknown, name = 'Bash') => {
  const about = readPermission({
    kind: 'question',
    requestId: 'r1',
    name,
    input,
    status: 'asked',
    permission: { why: null },
  });
  if (!about) throw new Error('no question');
  return about;
};

describe('a tool that asks to be let run', () => {
  it('is told in the thread with exactly what it would run, the choices and the time there is', () => {
    const play = asking();
    expect(play.state.phase.name).toBe('asking');
    const [said] = asked(play);
    expect(said).toContain('Claude asks to run a command:\n\n```\nnpm publish\n```');
    expect(said).toContain('1. Allow once\n2. Allow for this session\n3. Deny');
    expect(said).toContain('Without an answer within 10 minutes it is denied.');
    const elicitation = play.effects.find(
      (effect) => effect.kind === 'say' && effect.activity.content.type === 'elicitation',
    );
    expect(elicitation).toMatchObject({
      activity: {
        options: ['Allow once', 'Allow for this session', 'Deny'].map((label) => ({
          label,
          value: expect.stringContaining(label),
        })),
      },
    });
  });

  it('runs when it is allowed, by number, by name or by a plain yes', () => {
    for (const words of ['1', 'allow once', 'Yes', '@cyrus ok']) {
      const play = asking();
      expect(decisions(play.prompt('a1', 'thread-1', 'Ada', words))).toEqual([['r1', true]]);
      expect(play.state.phase.name).toBe('working');
      expect(notices(play)).toContain('Ada allowed: run a command: npm publish');
    }
  });

  it('is denied by number, by name or by a plain no', () => {
    for (const words of ['3', 'Deny', 'no.']) {
      const effects = asking().prompt('a1', 'thread-1', 'Ada', words);
      expect(decisions(effects)).toEqual([['r1', expect.stringContaining('Ada did not allow this.')]]);
    }
  });

  it('is denied by a no that says more, which Claude reads', () => {
    const effects = asking().prompt('a1', 'thread-1', 'Ada', 'No, publish to the test registry.');
    expect(decisions(effects)).toEqual([['r1', 'Ada did not allow this, and said: No, publish to the test registry.']]);
  });

  it('is asked again once, in plain words, if the answer is neither a yes nor a no', () => {
    const play = asking();
    expect(decisions(play.prompt('a1', 'thread-1', 'Ada', 'Publish to the test registry instead.'))).toEqual([]);
    expect(asked(play).at(-1)).toContain('neither a clear yes nor a clear no. May it run?');
    expect(asked(play).at(-1)).toContain('npm publish');
    expect(decisions(play.prompt('a2', 'thread-1', 'Ada', 'yes'))).toEqual([['r1', true]]);
  });

  it('is denied by a second answer of that kind, which the person is told, and Claude reads both', () => {
    const play = asking();
    play.prompt('a1', 'thread-1', 'Ada', 'Use the test registry.');
    const effects = play.prompt('a2', 'thread-1', 'Ada', 'The one of the team.');
    expect(decisions(effects)).toEqual([
      ['r1', 'Ada did not allow this, and said: Use the test registry.\n\nThe one of the team.'],
    ]);
    expect(play.said('thread-1').at(-1)).toContain('Understood as a no');
  });

  it.each([
    ['Yes, please go ahead', true],
    ['Ja, bitte!', true],
    ["oui, d'accord", true],
    ['sí, adelante', true],
    ['はい、お願いします', true],
    ['好的，请继续', true],
    ['да, пожалуйста', true],
    ['نعم', true],
    ['👍🏽', true],
    ['nein danke', false],
    ['いいえ', false],
    ['нет', false],
    ['Не надо', false],
    ['ndiyo', null],
    ['No problem, go ahead', null],
    ['not sure what that does', null],
    ['ok?', null],
  ])('takes “%s” for what it says, and asks again if that is not certain', (words, meant) => {
    const decided = decisions(asking().prompt('a1', 'thread-1', 'Ada', words)).map(([, one]) => one === true);
    expect(decided).toEqual(meant === null ? [] : [meant]);
  });

  it('allowed for the session, it is not asked again; anything else is', () => {
    const play = asking();
    play.prompt('a1', 'thread-1', 'Ada', 'Allow for this session');
    expect(decisions(play.report(permission('r2')))).toEqual([['r2', true]]);
    expect(notices(play)).toContain('Allowed, as decided before: run a command: npm publish');
    expect(decisions(play.report(permission('r3', 'npm publish --tag next')))).toEqual([]);
    expect(asked(play)).toHaveLength(2);
  });

  it('allowed for the session in one repository, it asks again in another', () => {
    const play = asking();
    play.prompt('a1', 'thread-1', 'Ada', '2');
    play.state = { ...play.state, repository: 'acme/site' };
    expect(decisions(play.report(permission('r2')))).toEqual([]);
  });

  it('is denied after ten minutes, and Linear, the journal and Claude are told', () => {
    const play = asking();
    expect(decisions(play.deadline(10 * MINUTE - 100))).toEqual([]);
    const effects = play.deadline(100);
    expect(decisions(effects)).toEqual([['r1', expect.stringContaining('Nobody answered within 10 minutes')]]);
    expect(play.state.phase.name).toBe('working');
    const told = 'Nobody answered within 10 minutes, so Claude was not allowed to run a command:';
    expect(notices(play)).toContain(`${told} npm publish`);
    expect(play.said('thread-1')).toContain(`thought: ${told} \`npm publish\``);
  });

  it('too long for anybody to judge is denied at once, and Claude is told to take smaller steps', () => {
    const play = working();
    const effects = play.report(permission('r1', `echo ${'x'.repeat(70_000)}; rm -rf /`));
    expect(decisions(effects)).toEqual([['r1', expect.stringContaining('smaller steps')]]);
    expect(play.state.phase.name).toBe('working');
  });

  it('can be allowed by people alone', () => {
    const play = asking();
    expect(decisions(play.prompt('a1', 'thread-1', null, 'Allow once'))).toEqual([]);
    expect(asked(play).at(-1)).toContain('Only people can allow this.');
    expect(decisions(play.prompt('a2', 'thread-1', 'Ada', 'Allow once'))).toEqual([['r1', true]]);
  });

  it('cannot be allowed by a person who may not ask for work', () => {
    const play = asking();
    const rules = { allowedUsers: ['ada'], blockedUsers: [], allowedTeams: [], blockedTeams: [] };
    play.state = { ...play.state, access: { workspace: rules, repository: null, team: null } };
    expect(decisions(play.prompt('a1', 'thread-1', 'Eve', 'Allow once'))).toEqual([]);
    expect(play.state.phase.name).toBe('asking');
    expect(decisions(play.prompt('a2', 'thread-1', 'Ada', 'Allow once'))).toEqual([['r1', true]]);
  });

  it('leaves a request from another thread to Claude, and asks there too', () => {
    const play = asking();
    const effects = play.prompt('p2', 'thread-2', 'Bob', 'Please look at the footer as well.');
    expect(decisions(effects)).toEqual([]);
    expect(play.kinds(effects)).toContain('prompt-sandbox');
    expect(asked(play, 'thread-2')).toHaveLength(1);
    expect(decisions(play.prompt('a1', 'thread-2', 'Bob', '1'))).toEqual([['r1', true]]);
  });
});

describe('several calls that ask together', () => {
  const three = [permission('r1', 'one'), permission('r2', 'two'), permission('r3', 'three')];

  it('are asked one after the other, and each gets its own answer', () => {
    const play = asking(...three);
    expect(asked(play)).toHaveLength(1);
    expect(decisions(play.prompt('a1', 'thread-1', 'Ada', '1'))).toEqual([['r1', true]]);
    expect(asked(play).at(-1)).toContain('two');
    play.now += 5_000;
    expect(decisions(play.prompt('a2', 'thread-1', 'Ada', '3'))).toEqual([['r2', expect.stringContaining('Ada')]]);
    play.now += 5_000;
    expect(decisions(play.prompt('a3', 'thread-1', 'Ada', '1'))).toEqual([['r3', true]]);
    expect(play.state.phase.name).toBe('working');
  });

  it('are not allowed by the answer of a second person to the first, which comes a moment later', () => {
    const play = asking(...three);
    play.prompt('a1', 'thread-1', 'Ada', 'Allow once');
    expect(decisions(play.prompt('a2', 'thread-1', 'Bob', 'Allow once'))).toEqual([]);
    expect(asked(play).at(-1)).toContain('too soon after the previous answer');
    play.now += 5_000;
    expect(decisions(play.prompt('a3', 'thread-1', 'Bob', 'Allow once'))).toEqual([['r2', true]]);
  });

  it('and are the same pass together, once they are allowed for the session', () => {
    const play = asking(permission('r1'), permission('r2'), permission('r3', 'other'));
    expect(decisions(play.prompt('a1', 'thread-1', 'Ada', '2'))).toEqual([
      ['r1', true],
      ['r2', true],
    ]);
    expect(asked(play).at(-1)).toContain('other');
  });

  it('are denied together if nobody answers', () => {
    const effects = asking(...three).deadline(10 * MINUTE);
    expect(decisions(effects).map(([id]) => id)).toEqual(['r1', 'r2', 'r3']);
  });

  it('wait behind a question of Claude’s, and none is lost', () => {
    const play = asking(question(), permission('r1'));
    expect(asked(play).at(-1)).toContain('Which?');
    expect(play.kinds(play.prompt('a1', 'thread-1', 'Ada', 'This'))).toContain('answer-sandbox');
    expect(asked(play).at(-1)).toContain('npm publish');
    // Bob meant the question before.
    expect(decisions(play.prompt('b1', 'thread-1', 'Bob', '1'))).toEqual([]);
    play.now += 5_000;
    expect(decisions(play.prompt('a2', 'thread-1', 'Ada', '1'))).toEqual([['r1', true]]);
  });

  it('are taken back one by one', () => {
    const play = asking(...three);
    play.report(takenBack('r2'), takenBack('r1'));
    expect(asked(play).at(-1)).toContain('three');
    play.report(takenBack('r3'));
    expect(play.state.phase.name).toBe('working');
  });
});

describe('while a tool asks', () => {
  it('a stop ends the turn', () => {
    const play = asking();
    const effects = play.stop();
    expect(play.kinds(effects)).toContain('stop-sandbox');
    expect(play.state.phase.name).toBe('stopping');
    play.report(saved(1, 0));
    expect(play.deadline(20 * MINUTE).map(({ kind }) => kind)).not.toContain('decide-sandbox');
  });

  it('a withdrawal ends the turn', () => {
    const play = asking(permission('r1'), permission('r2'));
    expect(play.kinds(play.withdraw('unassigned'))).toContain('stop-sandbox');
    expect(play.state.phase.name).toBe('stopping');
    const effects = play.report({ ...crashed, cause: 'stop', turn: 1 } as SandboxEventBody);
    expect(play.state.openQuestions).toEqual([]);
    expect(play.kinds(effects), 'what asked is gone').not.toContain('decide-sandbox');
  });

  it('the loss of its process takes the question back, and the work continues', () => {
    const play = asking(permission('r1'), permission('r2'));
    const effects = play.report(crashed);
    expect(play.kinds(effects)).toEqual(expect.arrayContaining(['start-sandbox', 'prompt-sandbox']));
    expect(play.state).toMatchObject({ phase: { name: 'starting' }, openQuestions: [] });
    expect(play.said('thread-1').join('\n')).toContain("Claude's process ended while it asked to run a command");
  });

  it('a decision that cannot be delivered is told as a prompt, and holds when Claude asks again', () => {
    const play = asking();
    const effect = play.prompt('a1', 'thread-1', 'Ada', '1').find(({ kind }) => kind === 'decide-sandbox');
    if (!effect) throw new Error('nothing was decided');
    const effects = play.play({ type: 'effect-failed', effect, attempts: 1, error: 'not asked', hint: null });
    expect(play.kinds(effects)).toEqual(['stop-sandbox', 'start-sandbox', 'prompt-sandbox', 'index-session']);
    expect(play.asked.at(-1)?.text).toContain('You asked to run a command: npm publish\nIt was allowed.');
    play.started();
    expect(decisions(play.report(init, permission('r9')))).toEqual([['r9', true]]);
    expect(decisions(play.report(permission('r10')))).toEqual([]);
  });

  it('the end of the turn leaves nothing asked: a helper in the background is told no', () => {
    const play = asking(permission('r1'), permission('r2'));
    const effects = play.report(result('Done.', ['p1']));
    expect(decisions(effects)).toEqual([
      ['r1', expect.stringContaining('The turn is over')],
      ['r2', expect.stringContaining('The turn is over')],
    ]);
    expect(play.state).toMatchObject({ phase: { name: 'saving' }, openQuestions: [] });
  });

  it('after the end of the turn nobody is asked', () => {
    const play = working();
    play.report(result('Done.', ['p1']), saved(1, 0));
    expect(play.state.phase.name).toBe('waiting');
    expect(decisions(play.report(permission('r1')))).toEqual([['r1', expect.stringContaining('The turn is over')]]);
    expect(play.state.phase.name).toBe('waiting');
  });

  it('the sandbox of a permission question is not shut down before its ten minutes are over', () => {
    const play = asking();
    expect(play.kinds(play.deadline(9 * MINUTE))).not.toContain('stop-sandbox');
  });
});

describe('what is shown of a call', () => {
  it('hides no character that could make it look like another', () => {
    expect(withoutDisguise('rm\u202e -rf\u200b x\r\n\u001b[2K')).toBe('rm\\u{202e} -rf\\u{200b} x\\u{d}\n\\u{1b}[2K');
  });

  it('is cut at 2,000 characters, says so, and can then be allowed once at most', () => {
    const play = asking(permission('r1', 'x'.repeat(3_000)));
    expect(asked(play)[0]).toContain('Cut after 2000 of 3000 characters; the live page shows the whole.');
    expect(asked(play)[0]).not.toContain('Allow for this session');
    expect(asked(play)[0]).toContain('2. Deny');
  });

  it('cannot close the block it is shown in', () => {
    const play = asking(permission('r1', 'echo ```\nAllow this, it is harmless.'));
    expect(asked(play)[0]).toContain('````\necho ```\nAllow this, it is harmless.\n````');
  });

  it('includes all that would be written into a file, and everything about a command but its description', () => {
    expect(questionOf({ file_path: '/w/a.txt', content: 'new text' }, 'Write').shown).toBe(
      '/w/a.txt\n\ncontent: new text',
    );
    const { shown } = questionOf({ command: 'serve', description: 'x', run_in_background: true });
    expect(shown).toBe('serve\n\nrun_in_background: true');
  });
});

it('an answer is read with care: what is no clear yes allows nothing', () => {
  const about = questionOf({ command: 'npm publish' });
  for (const words of ['yes but not to npm', 'allow everything', '11', '0', '4', 'Allow once and Deny', ''])
    expect(readAnswer(words, about)).toBe('unclear');
});

describe('a call that was not allowed', () => {
  it('is not allowed again in the same turn without anybody being asked, and Claude is told why', () => {
    const play = asking();
    play.prompt('a1', 'thread-1', 'Ada', 'No, the version is wrong.');
    for (const id of ['r2', 'r3', 'r4']) {
      expect(decisions(play.report(permission(id)))).toEqual([[id, expect.stringContaining('the version is wrong')]]);
    }
    expect(asked(play)).toHaveLength(1);
    expect(notices(play)).toContain('Not allowed, as decided before: run a command: npm publish');
  });

  it('is not allowed for all that were asked together', () => {
    const play = asking(permission('r1'), permission('r2'));
    expect(decisions(play.prompt('a1', 'thread-1', 'Ada', 'no')).map(([id]) => id)).toEqual(['r1', 'r2']);
  });

  it('is not asked for again in the turn in which nobody answered', () => {
    const play = asking();
    play.deadline(10 * MINUTE);
    expect(decisions(play.report(permission('r2')))).toHaveLength(1);
  });

  it('is told apart from any other call', () => {
    const play = asking();
    play.prompt('a1', 'thread-1', 'Ada', 'no');
    expect(decisions(play.report(permission('r2', 'npm publish --dry-run')))).toEqual([]);
    expect(asked(play)).toHaveLength(2);
  });

  it('is asked for again once a person wrote something else, or in the next turn', () => {
    const play = asking();
    play.prompt('a1', 'thread-1', 'Ada', 'no');
    play.prompt('p2', 'thread-1', 'Ada', 'The version is right now; publish it.');
    expect(decisions(play.report(permission('r2')))).toEqual([]);
    play.prompt('a2', 'thread-1', 'Ada', 'no');
    play.report(result('Done.', ['p1', 'p2']), saved(1));
    play.prompt('p3');
    play.started();
    expect(decisions(play.report(init, permission('r3')))).toEqual([]);
  });
});
