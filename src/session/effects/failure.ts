/** Sorts what was thrown while an effect was carried out: may another attempt succeed, what is waited for, what can be done. */
import { GitHubError } from '../../github/errors.ts';
import type { Failure, Retryable, Terminal } from '../../kernel/attempt.ts';
import { asError } from '../../lib/error.ts';
import { LinearError } from '../../linear/api/errors.ts';
import { WebhookError } from '../../outgoing-webhooks/post.ts';
import { SandboxError } from '../../sandbox/sandbox.ts';
import { isDatabaseError } from '../../store/database.ts';
import { SetupError } from './effect-context.ts';

/** What a thrown error means for the effect. What is not known is tried again. */
export function toFailure(thrown: unknown): Failure {
  const error = asError(thrown);
  if (error instanceof SandboxError) {
    const { retryable, hint, reason } = error;
    return retryable ? passing(error, { hint, ...(reason !== null && { reason }) }) : terminal(error, hint);
  }
  if (error instanceof GitHubError) {
    const { retryable, hint, retryAt } = error;
    return retryable ? passing(error, { hint, retryAt }) : terminal(error, hint);
  }
  if (error instanceof LinearError) return ofLinear(error);
  if (error instanceof WebhookError) return passing(error, { retryAt: error.retryAt });
  if (error instanceof SetupError) return terminal(error, error.hint);
  const reason = isDatabaseError(error) ? "Waiting for Cyrus's database (D1): it does not answer" : UNKNOWN;
  return passing(error, { reason });
}

const UNKNOWN = 'Waiting for Cyrus itself: one of its services is failing';

/** Linear says so each time. */
const REFUSED_HINT = 'Trying again does not help until that is changed in Linear; then comment to continue.';

function ofLinear(error: LinearError): Failure {
  const { retryAt } = error;
  switch (error.kind) {
    case 'refused':
      return terminal(error, REFUSED_HINT);
    case 'unauthorized': {
      const hint = 'Once an admin has fixed that, comment to continue.';
      return { ...passing(error, { hint, retryAt }), cause: 'unauthorized' };
    }
    case 'unreachable':
      return passing(error, { retryAt, reason: 'Waiting for Linear: it does not answer' });
    case 'rate-limited':
      return passing(error, { retryAt, reason: "Waiting for Linear: this workspace's hourly rate limit is reached" });
  }
}

function passing(error: Error, more: Partial<Pick<Retryable, 'hint' | 'retryAt' | 'reason'>>): Retryable {
  return { kind: 'retryable', cause: 'passing', message: error.message, hint: null, retryAt: null, error, ...more };
}

function terminal(error: Error, hint: string | null): Terminal {
  return { kind: 'terminal', message: error.message, hint, error };
}
