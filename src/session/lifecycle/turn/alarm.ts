/** The gateway has met a secret on its way out of a sandbox: what runs there is not to be trusted any more. */
import { byPhase, onlyIn } from '../model/by-phase.ts';
import { PULL_REQUEST_LANE } from '../model/effects.ts';
import type { EventOf } from '../model/events.ts';
import type { Step } from '../model/transition.ts';
import { endTurn } from './end.ts';
import { stopped } from './save.ts';
import { endBackground, halt, type Stop } from './stops.ts';

/**
 * Whatever the session is doing: what runs is stopped, what waits is not begun, the turn fails, no pull request is opened, and the
 * thread is told.
 */
export function alarmRaised(step: Step, event: EventOf<'alarm-raised'>): void {
  const words = `Stopped, because ${alarmWords(event, step.state.branch)}`;
  stopForAlarm(step, { id: event.id, at: null, thread: null, author: null, words, how: 'alarm' });
  // Nothing is pushed for a turn in which it was caught, see session/lifecycle/model/standing.ts.
  step.set({ alarm: step.state.turns });
}

const stopForAlarm = byPhase<[stop: Stop]>(
  {
    waiting: (step, _phase, stop) => {
      recordAlarm(step, stop);
      const thread = Object.keys(step.state.agentSessions).at(-1);
      if (thread !== undefined) step.say(thread, { type: 'error', body: `${stop.words}.` });
      endBackground(step, stop);
    },
    stopping: (step, phase, stop) => {
      const words = `${stop.words}.`;
      // The same is met in the next piece of what it was met in.
      if (phase.words === words) return;
      recordAlarm(step, stop);
      step.enter({ ...phase, words, how: 'alarm' });
      halt(step, stop);
    },
    saving: (step, phase, stop) => {
      const { result, text } = phase.ending;
      if (text.startsWith(`${stop.words}.`)) return;
      recordAlarm(step, stop);
      step.enter({ ...phase, ending: stopped(result, `${stop.words}.\n\n${text}`, 'alarm') });
      halt(step, stop);
      leaveProposal(step);
    },
  },
  (step, _phase, stop) => {
    recordAlarm(step, stop);
    halt(step, stop);
  },
);

function recordAlarm(step: Step, { words }: Stop): void {
  step.record({ kind: 'notice', level: 'error', text: `${words}.` });
}

/** The work is saved and its pull request was asked for: that is not waited for, and not opened if it can be helped. */
const leaveProposal = onlyIn({
  saving: (step, phase) => {
    if (!phase.proposes) return;
    step.cancelLane(PULL_REQUEST_LANE);
    endTurn(step, phase.ending, phase.early);
  },
});

/** A secret of the configuration is called by its variable, one of the database by what it opens. */
const IS_VARIABLE = /^[A-Z_]+$/;

/** Where it was found, whether it left, what it opens and what to do; without the last full stop. */
function alarmWords({ host, commit, secret }: EventOf<'alarm-raised'>, branch: string): string {
  const { kind = 'decoy', name = '', place } = secret ?? {};
  const { what, worth } = {
    decoy: { what: 'a credential of the sandbox', worth: 'It was a decoy that opens nothing' },
    token: { what: "this session's token", worth: 'It allows only what this session may do anyway' },
    deployment: {
      what: IS_VARIABLE.test(name) ? `the secret ${name} of this deployment` : `the ${name}`,
      worth: IS_VARIABLE.test(name) ? `${name} has to be replaced now` : 'It has to be replaced now',
    },
  }[kind];
  const cause = 'code in this repository, or a package it uses, collects credentials, or Claude wrote one down';
  if (commit) {
    const id = commit.id.slice(0, 10);
    return commit.pushed
      ? `${what} was pushed to ${branch}. ${worth}, but it was found only after commit ${id} was on the git host: ${cause}. No pull request is opened for it. Look at the commit before you continue, and remove it from the branch`
      : `${what} was about to be pushed to ${branch}. ${worth}, and commit ${id} was not pushed: ${cause}. ${kind === 'decoy' ? 'The patch on the live page shows where it is' : 'Its patch is not kept'}`;
  }
  if (place !== undefined) {
    return `${what} was in ${place}. ${worth}, and it was removed before anything was stored, shown or sent: ${cause}. No pull request is opened for it. Look at what was done before you continue`;
  }
  return `something in the sandbox tried to send ${kind === 'decoy' ? 'a credential' : what} to ${host}. ${worth}, and the request was not let through; but code in this repository, or a package it uses, collects credentials. The network log shows what it had reached`;
}
