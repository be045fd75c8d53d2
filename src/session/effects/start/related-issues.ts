/** What is around the issue is asked of Linear when Claude is given its first prompt, so that it is as of then. */

import { asError } from '../../../lib/error.ts';
import { settledWithin } from '../../../lib/timeout.ts';
import type { LinearClient } from '../../../linear/api/client.ts';
import { log } from '../../../observability/log.ts';
import { fillRelated, relatedIn } from '../../inbound/related-issues-text.ts';

/** Background only: work waits no longer for it. */
const READ_LIMIT_MS = 5_000;

/** A prompt with the issues around its own; if Linear does not answer, Claude is told so. Never rejects. */
export async function withRelatedIssues(prompt: string, linear: LinearClient): Promise<string> {
  const issueId = relatedIn(prompt);
  if (issueId === null) return prompt;
  try {
    const found = await settledWithin(READ_LIMIT_MS, linear.issueSurroundings(issueId));
    if (found === 'late') throw new Error(`no answer within ${READ_LIMIT_MS / 1000} s`);
    return fillRelated(prompt, found);
  } catch (error) {
    log('linear.related_issues.unknown', { error: asError(error) });
    return fillRelated(prompt, null);
  }
}
