import { describe, expect, it } from 'vitest';
import type { Effect } from '../../src/session/lifecycle/model/effects.ts';
import type { NamedAnswer } from '../../src/session/lifecycle/model/events.ts';
import type { SessionState } from '../../src/session/lifecycle/model/state.ts';
import { closedAnswer } from '../../src/session/lifecycle/questions/open-question.ts';
import { askedOf } from '../../src/session/lifecycle/questions/pending-questions.ts';
import {
  aborted,
  access,
  crashed,
  init,
  line,
  permission,
  result,
  SessionPlay,
  saved,
  takenBack,
} from './support/session-play.ts';

interface Option {
  label: string;
  description?: string;
}

function ask(questions: { question: string; multiSelect?: boolean; options?: Option[] }[], requestId = 'q1') {
  const request = { subtype: 'can_use_tool', tool_name: 'AskUserQuestion', input: { questions }, tool_use_id: 't1' };
  return line({ type: 'control_request', request_id: requestId, request });
}

function working(): SessionPlay {
  const play = new SessionPlay();
  play.prompt('p1');
  play.started();
  play.report(init);
  return play;
}

function asking(...bodies: Parameters<SessionPlay['report']>): SessionPlay {
  const play = working();
  play.report(...bodies);
  return play;
}

/** Somebody writes in a thread; `at`: when, by Linear's clock. */
function write(play: SessionPlay, text: string, at: number, author = 'Ada', thread = 'thread-1'): Effect[] {
  const person = { id: author.toLowerCase(), email: null };
  const promptId = `written-${text}-${at}`;
  return play.play({ type: 'prompted', promptId, agentSessionId: thread, author, person, source: 'comment', text, at });
}

/** Somebody answers on the page. @returns why it is refused, or the effects */
function press(play: SessionPlay, answers: NamedAnswer, text = 'x'): Effect[] | string {
  const by = { promptId: `pressed-${play.now}`, agentSessionId: null, author: null, person: null } as const;
  const event = { type: 'prompted', ...by, source: 'page', text, answers } as const;
  return closedAnswer(play.state, event) ?? play.play(event);
}

function decided(effects: Effect[]): [string, boolean][] {
  return effects
    .filter((effect) => effect.kind === 'decide-sandbox')
    .map(({ requestId, decision }) => [requestId, decision.allowed]);
}

function answersIn(effects: Effect[]): unknown {
  return effects.find((effect) => effect.kind === 'answer-sandbox')?.input.answers;
}

function asked(play: SessionPlay) {
  const about = askedOf(play.state);
  if (!about) throw new Error('nothing is asked');
  return about;
}

/** What Linear sends back when an option is chosen there. */
function valueIn(play: SessionPlay, label: string): string {
  const said = play.effects.findLast((effect) => effect.kind === 'say' && effect.activity.options !== undefined);
  const options = said?.kind === 'say' ? said.activity.options : undefined;
  return options?.find((option) => option.label === label)?.value ?? '';
}

const colours = { question: 'Which colour?', options: [{ label: 'Red' }, { label: 'Blue' }] };

describe('an answer', () => {
  it('names its question, so that one that comes late from the page lets no other command run', () => {
    const play = asking(permission('r1', 'npm publish'), permission('r2', 'rm -rf dist'));
    const first = asked(play).id;
    write(play, 'no', play.now, 'Bob');
    play.now += 8_000;
    expect(asked(play).call).toBe('rm -rf dist');
    const before = play.state;
    expect(press(play, { question: first, options: ['once'] })).toContain('answered before, by Bob');
    expect(play.state).toEqual(before);
    expect(decided(press(play, { question: asked(play).id, options: ['once'] }) as Effect[])).toEqual([['r2', true]]);
  });

  it('written in a thread is about the question that was open when it was written, however late it comes', () => {
    const play = asking(permission('r1', 'npm publish'), permission('r2', 'rm -rf dist'));
    const writtenAt = play.now + 1_000;
    play.now += 5_000;
    write(play, 'no', play.now, 'Bob');
    play.now += 60_000;
    for (const words of ['Allow once', 'yes', '1']) expect(decided(write(play, words, writtenAt))).toEqual([]);
    expect(play.said('thread-1').at(-1)).toMatch(/answered before, by Bob.*changed nothing.*rm -rf dist/s);
    expect(asked(play).call).toBe('rm -rf dist');
  });

  it('by an option that Linear offered is about the question that offered it', () => {
    const play = asking(permission('r1', 'npm publish'), permission('r2', 'rm -rf dist'));
    const late = valueIn(play, 'Allow once');
    write(play, 'no', play.now, 'Bob');
    play.now += 60_000;
    expect(decided(write(play, late, play.now))).toEqual([]);
    expect(decided(write(play, valueIn(play, 'Allow once'), play.now))).toEqual([['r2', true]]);
    const texts = play.entries.map(({ body }) => (body.kind === 'prompt' ? body.text : ''));
    expect(texts).toContain('Allow once');
  });

  it('that comes twice counts once, and the second is told so', () => {
    const play = asking(ask([colours]));
    const named = { question: asked(play).id, options: ['o2'] };
    expect(answersIn(press(play, named) as Effect[])).toEqual({ 'Which colour?': 'Blue' });
    expect(press(play, named)).toContain('answered before, by somebody on the live page');
  });

  it('to what nobody asks any more changes nothing, and the person is told', () => {
    const closed: [string, (play: SessionPlay) => void][] = [
      ['taken back', (play) => play.report(takenBack('r1'))],
      ['stopped', (play) => play.stop()],
      ['expired', (play) => play.deadline(600_000)],
      ['process lost', (play) => play.report(crashed)],
      ['turn over', (play) => play.report(result('Done.', ['p1']), saved(1))],
    ];
    for (const [why, close] of closed) {
      const play = asking(permission('r1'));
      const { id } = asked(play);
      const writtenAt = play.now + 1;
      play.now += 1_000;
      close(play);
      expect(press(play, { question: id, options: ['once'] }), why).toContain('no longer open');
      const effects = write(play, 'Allow once', writtenAt);
      expect(decided(effects), why).toEqual([]);
      expect(play.kinds(effects), why).not.toContain('prompt-sandbox');
      expect(play.said('thread-1').join('\n'), why).toContain('this changed nothing');
    }
  });

  it('that comes after the turn leaves the thread closed', () => {
    const play = asking(permission('r1'));
    const writtenAt = play.now + 1;
    play.report(result('Done.', ['p1']), saved(1));
    write(play, 'yes', writtenAt);
    expect(play.closings('thread-1').at(-1)).toContain('this changed nothing');
    expect(play.state.phase.name).toBe('waiting');
  });

  it('is no answer if it was written before the question, and is given to Claude', () => {
    const play = working();
    const writtenAt = play.now;
    play.now += 2_000;
    play.report(permission('r1'));
    const effects = write(play, 'ok', writtenAt);
    expect(decided(effects)).toEqual([]);
    expect(play.kinds(effects)).toContain('prompt-sandbox');
    expect(asked(play).id).toBe('r1');
  });

  it('is not what somebody asks for in a thread of their own', () => {
    const play = asking(ask([colours]));
    const effects = write(play, 'Please look at the footer as well.', play.now, 'Bob', 'thread-2');
    expect(answersIn(effects)).toBeUndefined();
    expect(play.kinds(effects)).toContain('prompt-sandbox');
    expect(play.said('thread-2').at(-1)).toContain('Which colour?');
    expect(answersIn(write(play, 'Red', play.now, 'Bob', 'thread-2'))).toEqual({ 'Which colour?': 'Red' });
  });

  it('of a page that names no question allows nothing soon after another question was closed', () => {
    const play = asking(permission('r1', 'one'), permission('r2', 'two'));
    write(play, 'no', play.now, 'Bob');
    play.now += 8_000;
    const by = { promptId: 'old', agentSessionId: null, author: null, person: null, source: 'page' } as const;
    expect(decided(play.play({ type: 'prompted', ...by, text: 'Allow once' }))).toEqual([]);
    play.now += 60_000;
    expect(decided(play.play({ type: 'prompted', ...by, promptId: 'new', text: 'Allow once' }))).toEqual([
      ['r2', true],
    ]);
  });

  it('of another person to the question before is not taken for the next one', () => {
    const play = asking(ask([colours, { question: 'Which size?', options: [{ label: 'Small' }, { label: 'Large' }] }]));
    play.prompt('a1', 'thread-1', 'Ada', '1');
    expect(answersIn(play.prompt('b1', 'thread-1', 'Bob', '1'))).toBeUndefined();
    expect(play.said('thread-1').at(-1)).toMatch(/too soon.*Which size\?/s);
  });

  it('takes along what Claude should be told of the issue only if Claude is given it', () => {
    const play = asking(ask([colours]));
    play.play({ type: 'context-arrived', id: 'c1', item: 'Bob commented.' });
    write(play, 'Red', play.now);
    expect(play.state.context).toEqual(['Bob commented.']);
  });
});

describe('the repository question', () => {
  const unsure = () => {
    const play = new SessionPlay();
    play.prompt('p1');
    play.startedWith({ kind: 'unsure', options: ['acme/shop', 'acme/site'], access: access({ repository: null }) });
    return play;
  };

  it('is answered from the page by the option’s id, and Claude is not told the answer', () => {
    const play = unsure();
    const effects = press(play, { question: asked(play).id, options: ['acme/site'] }, 'acme/site') as Effect[];
    expect(play.state.repository).toBe('acme/site');
    expect(effects.filter(({ kind }) => kind === 'prompt-sandbox')).toHaveLength(1);
  });

  it('takes the second of two answers for no request', () => {
    const play = unsure();
    const writtenAt = play.now + 1;
    play.now += 1_000;
    write(play, 'acme/site', writtenAt);
    const effects = write(play, 'acme/shop', writtenAt);
    expect(play.state.repository).toBe('acme/site');
    expect(play.kinds(effects)).not.toContain('prompt-sandbox');
  });
});

describe('options', () => {
  const retries = {
    question: 'How many retries?',
    options: [{ label: '3' }, { label: '1' }, { label: '2' }],
  };

  it('whose labels are numbers are meant by their labels, never by their place', () => {
    for (const label of ['1', '2', '3', ' 1. ', '@cyrus 1', '١']) {
      const play = asking(ask([retries]));
      const meant = { ' 1. ': '1', '@cyrus 1': '1', '١': '1' }[label] ?? label;
      expect(answersIn(write(play, label, play.now))).toEqual({ 'How many retries?': meant });
    }
    const play = asking(ask([retries]));
    expect(play.said('thread-1').at(-1)).toContain('- **A** 3\n- **B** 1\n- **C** 2');
    expect(answersIn(write(play, 'A', play.now))).toEqual({ 'How many retries?': '3' });
  });

  it('are meant by their id, on the page and in Linear', () => {
    const play = asking(ask([retries]));
    expect(asked(play).choices).toEqual([
      { id: 'o1', label: '3' },
      { id: 'o2', label: '1' },
      { id: 'o3', label: '2' },
    ]);
    expect(answersIn(write(play, valueIn(play, '1'), play.now))).toEqual({ 'How many retries?': '1' });
    const page = asking(ask([retries]));
    const pressed = press(page, { question: asked(page).id, options: ['o2'] }, '1') as Effect[];
    expect(answersIn(pressed)).toEqual({ 'How many retries?': '1' });
  });

  it('with a number in their label are meant by it', () => {
    const versions = { question: 'Which?', options: [{ label: 'Version 2' }, { label: 'Version 1' }] };
    const play = asking(ask([versions]));
    expect(answersIn(write(play, '2', play.now))).toEqual({ 'Which?': 'Version 2' });
  });

  it('are shown with what they mean, on the page and in Linear', () => {
    const options = [{ label: 'Red', description: 'as the logo' }, { label: 'Blue' }];
    const play = asking(ask([{ question: 'Which colour?', options }]));
    expect(play.said('thread-1').at(-1)).toContain('1. Red: as the logo\n2. Blue');
    expect(asked(play).choices?.[0]).toEqual({ id: 'o1', label: 'Red', description: 'as the logo' });
  });

  it('several of which may be chosen are chosen together, and Claude gets them as its tool wants them', () => {
    const several = {
      question: 'Which?',
      multiSelect: true,
      options: [...'abc'].map((one) => ({ label: `is ${one}` })),
    };
    const expected = { 'Which?': 'is a, is c' };
    for (const words of ['1, 3', 'is c and is a', '3\n1', '- is a\n- is c', '@cyrus 1 & 3']) {
      const play = asking(ask([several]));
      expect(play.said('thread-1').at(-1)).toContain('You can choose several');
      expect(answersIn(write(play, words, play.now)), words).toEqual(expected);
    }
    const play = asking(ask([several]));
    expect(asked(play).multiSelect).toBe(true);
    const pressed = press(play, { question: asked(play).id, options: ['o1', 'o3'] }) as Effect[];
    expect(answersIn(pressed)).toEqual(expected);
    const free = asking(ask([several]));
    expect(answersIn(write(free, '1, and the purple one', free.now))).toEqual({ 'Which?': '1, and the purple one' });
  });

  it('labelled like properties that every object has are shown, chosen and answered like any other', () => {
    const labels = ['__proto__', 'constructor', 'toString'];
    const question = { question: 'Which?', options: labels.map((label) => ({ label })) };
    for (const [index, label] of labels.entries()) {
      for (const words of [label, `${index + 1}`]) {
        const play = asking(ask([question]));
        expect(answersIn(write(play, words, play.now)), words).toEqual({ 'Which?': label });
      }
      const page = asking(ask([question]));
      const pressed = press(page, { question: asked(page).id, options: [`o${index + 1}`] }, label) as Effect[];
      expect(answersIn(pressed)).toEqual({ 'Which?': label });
    }
  });

  it('that share a label are told apart by their ids, and none is guessed at', () => {
    const twice = { question: 'Which?', options: [{ label: 'Red' }, { label: 'Red', description: 'darker' }] };
    const play = asking(ask([twice]));
    expect(asked(play).choices?.map(({ id }) => id)).toEqual(['o1', 'o2']);
    expect(answersIn(press(play, { question: asked(play).id, options: ['o2'] }, 'Red') as Effect[])).toEqual({
      'Which?': 'Red',
    });
    const thread = asking(ask([twice]));
    expect(answersIn(write(thread, 'Red', thread.now))).toEqual({ 'Which?': 'Red' });
  });

  it('mention nobody in Linear', () => {
    const play = asking(ask([{ question: 'May @cyrus go on?', options: [{ label: '@cyrus' }] }]));
    expect(play.said('thread-1').at(-1)).not.toMatch(/@cyrus/);
  });
});

describe('a question of Claude’s', () => {
  it('named like a property that every object has is asked and answered like any other', () => {
    for (const question of ['constructor', '__proto__', 'toString', 'hasOwnProperty']) {
      const play = asking(ask([{ ...colours, question }, colours]));
      expect(play.said('thread-1').at(-1), question).toContain(question);
      write(play, 'Red', play.now);
      const answers = answersIn(write(play, 'Blue', play.now));
      expect(Object.entries(answers as object), question).toEqual([
        [question, 'Red'],
        ['Which colour?', 'Blue'],
      ]);
    }
  });

  it('with the text of another one of the same call is asked too', () => {
    const play = asking(ask([colours, colours]));
    expect(answersIn(write(play, 'Red', play.now))).toBeUndefined();
    expect(answersIn(write(play, 'Blue', play.now))).toEqual({ 'Which colour?': 'Red, Blue' });
  });

  it('is answered by what follows a mention', () => {
    for (const words of ['@cyrus 2', '[@cyrus](https://linear.app/acme/profiles/cyrus) Blue', '@cyrus: **blue**']) {
      const play = asking(ask([colours]));
      expect(answersIn(write(play, words, play.now)), words).toEqual({ 'Which colour?': 'Blue' });
    }
  });

  it('that an earlier version stored is answered', () => {
    const play = asking(ask([colours, { ...colours, question: 'And the border?' }]));
    const { phase } = play.state;
    if (phase.name !== 'asking' || phase.about.kind !== 'claude') throw new Error('not asked');
    const { replies: _, askedAt: __, ...about } = phase.about;
    const before: SessionState = {
      ...play.state,
      phase: { ...phase, about: { ...about, answers: { 'Which colour?': 'Red' } } },
    };
    play.state = before;
    expect(asked(play).text).toBe('And the border?');
    expect(answersIn(write(play, '2', play.now))).toEqual({ 'Which colour?': 'Red', 'And the border?': 'Blue' });
  });

  it('a question stays open under the same id while its sandbox is shut down, and a request from another thread waits for it', () => {
    const play = asking(ask([colours]));
    const { id } = asked(play);
    play.deadline(15 * 60_000);
    play.report(aborted(['p1']), saved(1, 0));
    expect(asked(play).id).toBe(id);
    play.prompt('p2', 'thread-2', 'Bob', 'Mind the footer.');
    expect(play.state.queue).toMatchObject([{ promptId: 'p2', stage: 'received' }]);
    expect(play.kinds(press(play, { question: id, options: ['o1'] }) as Effect[])).toContain('start-sandbox');
    expect(play.asked.at(-1)?.text).toContain('You asked: Which colour?\nThe answer: Red');
  });
});

describe('“use the other repository”', () => {
  const starts = (text: string) => {
    const play = working();
    play.prompt('p2', 'thread-1', 'Ada', text);
    const isAsked = play.said('thread-1').some((said) => said.includes('Should it be another repository?'));
    return { repository: play.state.repository, isAsked };
  };

  it.each([
    'Bitte nimm das andere Repository.',
    'Utilise l’autre dépôt, s’il te plaît.',
    'Usa el otro repositorio',
    '別のリポジトリを使ってください',
    '请用另一个仓库',
    'استخدم المستودع الآخر',
    'Это не тот репозиторий',
    'Nimm acme/site',
    'acme/site を使ってください',
  ])('in other languages is understood, or asked about: %s', (words) => {
    const { repository, isAsked } = starts(words);
    expect(isAsked || repository === 'acme/site').toBe(true);
  });

  it.each([
    'Use a different approach in this report.',
    'Look at how acme/site does it.',
    'Use site.css instead.',
    '1.',
  ])('is not what other words say: %s', (words) =>
    expect(starts(words)).toEqual({ repository: 'acme/shop', isAsked: false }),
  );

  it('is answered by the option that was offered', () => {
    const play = working();
    play.prompt('p2', 'thread-1', 'Ada', 'Nimm acme/site');
    play.prompt('p3', 'thread-1', 'Ada', valueIn(play, 'Start over in acme/site'));
    expect(play.state.repository).toBe('acme/site');
  });
});

it('what a page keeps and sends later answers no question that is open when it arrives', () => {
  const play = asking(permission('r1'));
  play.now += 120_000;
  const by = { promptId: 'kept', agentSessionId: null, author: null, person: null, source: 'page' } as const;
  const effects = play.play({ type: 'prompted', ...by, text: 'yes', answers: null });
  expect(decided(effects)).toEqual([]);
  expect(play.kinds(effects)).toContain('prompt-sandbox');
  expect(asked(play).id).toBe('r1');
});

describe('two calls that ask together', () => {
  const call = (id: string, command: string) =>
    line({
      type: 'assistant',
      message: {
        id: `msg-${id}`,
        role: 'assistant',
        model: 'claude-sonnet-5-5',
        content: [{ type: 'tool_use', id: `toolu_${id}`, name: 'Bash', input: { command } }],
      },
      parent_tool_use_id: null,
    });

  it('do not show the second as run while people are asked about the first', () => {
    const play = working();
    const effects = play.report(call('r1', 'one'), permission('r1', 'one'));
    effects.push(...play.report(call('r2', 'two'), permission('r2', 'two')));
    const told = effects.flatMap((effect) => (effect.kind === 'say' ? [JSON.stringify(effect.activity.content)] : []));
    expect(told.at(-1)).toContain('Claude asks to run a command');
    expect(told.join('\n')).not.toMatch(/Ran.*two/);
  });

  it('show what was not allowed as such', () => {
    const play = asking(call('r1', 'one'), permission('r1', 'one'));
    write(play, 'no', play.now);
    const content = [
      { type: 'tool_result', tool_use_id: 'toolu_r1', content: 'Ada did not allow this. Go on.', is_error: true },
    ];
    play.report(line({ type: 'user', message: { role: 'user', content }, parent_tool_use_id: null }));
    expect(play.said('thread-1').at(-1)).toBe('action: Not allowed one');
  });
});
