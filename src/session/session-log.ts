/** What the log has of a session: each line names the session, and its issue as people know it. */
import { type LogEvent, type LogFields, log } from '../observability/log.ts';
import type { SessionState } from './lifecycle/model/state.ts';
import type { SessionReport } from './storage/session-engine.ts';
import type { Written } from './storage/transition-writer.ts';

export class SessionLog {
  readonly #session: string;
  readonly #state: () => SessionState | null;

  /** @param session id of its object. @param state as it is now */
  constructor(session: string, state: () => SessionState | null) {
    this.#session = session;
    this.#state = state;
  }

  /** One line about the session. */
  readonly write = (event: LogEvent, fields: LogFields = {}): void => {
    const { issue, workspaceId: workspace } = this.#state() ?? {};
    const named = {
      session: this.#session,
      ...(issue && { issue: issue.identifier }),
      ...(workspace !== undefined && { workspace }),
    };
    log(event, { ...named, ...fields });
  };

  /** What the engine reports. */
  report(report: SessionReport): void {
    switch (report.kind) {
      case 'clock-moved':
        this.write('session.clock.moved', { by: report.by });
        break;
      case 'effect-unknown':
        this.write('session.effect.unknown', { id: report.id, why: report.why });
        break;
      case 'effect-failed': {
        const { effects, attempts, cause, error } = report;
        this.write('session.effect.failed', { effect: kindsOf(effects), attempts, cause, error });
        break;
      }
      case 'effects-separated':
        this.write('session.effect.separated', { effect: kindsOf(report.effects), reason: report.reason });
        break;
      case 'effect-given-up': {
        const { effect, attempts, reason } = report;
        this.write('session.effect.given_up', { effect: effect.kind, attempts, reason });
        break;
      }
      case 'outbox-failed':
        this.write('session.outbox.failed', { error: report.error });
        break;
    }
  }

  /** One line for the beginning and one for the end of each turn. */
  turns(written: readonly Written[]): void {
    for (const item of written) {
      if (!('entry' in item)) continue;
      const { entry } = item;
      if (entry.kind === 'turn-started') this.write('session.turn.started', { turn: entry.turn });
      if (entry.kind !== 'turn-ended') continue;
      const { turn, outcome, reason, durationMs } = entry;
      this.write('session.turn.ended', { turn, outcome, reason, durationMs });
    }
  }
}

function kindsOf(effects: readonly { kind: string }[]): string {
  return effects.map(({ kind }) => kind).join(' ');
}
