/**
 * Cyrus as it is deployed, but for effects: they are stored and not carried out, so that what is measured is what Cyrus itself does, not
 * how fast stand-ins for Linear and a sandbox answer on the same machine.
 */
import { IssueSession as WholeSession } from '../../src/session/issue-session.ts';

export * from '../../src/index.ts';
export { default } from '../../src/index.ts';

export class IssueSession extends WholeSession {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env, () => true);
  }
}
