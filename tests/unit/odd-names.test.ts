import { describe, expect, it } from 'vitest';
import { failureCause } from '../../src/claude/failure.ts';
import { historyTrouble } from '../../src/claude/history.ts';
import { initialPlan, readPlan } from '../../src/claude/plan.ts';
import { windowName } from '../../src/claude-quota/windows.ts';
import { fileType, nameForType, typeOfName } from '../../src/protocol/file-type.ts';
import { call, callResult, init, permission, question, result, SessionPlay, saved } from './support/session-play.ts';

/** What every object has without being given it. */
const NAMES = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf'];

describe.each(NAMES)('a name from outside that every object has, %s,', (name) => {
  it('is a thread like any other, which is answered once for each request', () => {
    const play = new SessionPlay();
    play.prompt('p1', name);
    play.started();
    play.report(init, result('one', ['p1']));
    play.report(saved(1));
    play.prompt('p2', name);
    play.report(init, result('two', ['p2']));
    play.report(saved(2));
    expect(play.closings(name)).toEqual([expect.stringContaining('one'), expect.stringContaining('two')]);
  });

  it('is a prompt, a call and a question like any other', () => {
    const play = new SessionPlay();
    play.prompt(name);
    play.started();
    play.report(init, call(name), callResult(name), question(name));
    play.prompt('answer', 'thread-1', 'Ada', 'This');
    play.report(permission(name, name));
    expect(play.state.phase.name).toBe('asking');
    play.prompt('yes', 'thread-1', 'Ada', 'yes');
    play.report(result('done', [name]));
    play.report(saved(1));
    expect(play.closings('thread-1')).toEqual([expect.stringContaining('done')]);
  });

  it('is no known file extension', () => {
    const words = new TextEncoder().encode('words');
    expect(fileType(words, `notes.${name}`)).toBe('text/plain');
    expect(typeOfName(`notes.${name}`)).toBe('text/plain');
    expect(nameForType(`notes.${name}`, name)).toMatch(/^notes/);
  });

  it('is no known failure of Claude’s, window of its limits, or state of a task', () => {
    const failed = {
      kind: 'result' as const,
      isError: true,
      terminalReason: name,
      apiError: name,
      text: '',
      promptIds: [],
      durationMs: 1,
      usage: null,
      costUsd: null,
      numTurns: null,
      deniedTools: [],
    };
    expect(historyTrouble(failed)).toBeNull();
    expect(failureCause({ api_error_type: name })).toBe(name);
    expect(windowName(name)).toBe(name);
    const called = readPlan(initialPlan, {
      kind: 'tool-call',
      toolUseId: 't1',
      name: 'TaskUpdate',
      input: { taskId: '1', status: name },
    });
    expect(called.calls).toEqual([{ toolUseId: 't1', change: expect.objectContaining({ status: undefined }) }]);
  });
});
