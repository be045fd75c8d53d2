/** Turns what happens in the stand-in into webhooks of its App, in the order in which it happened. */

import { Payloads, type WebhookEvent } from './payloads.ts';
import type { PullEvent } from './pulls.ts';
import { headOf } from './repositories.ts';
import type { ApiParts } from './rest.ts';
import type { CommitChecks, Pull } from './state.ts';

/** What tells, and `told`, which waits until all of it was handed to the webhooks. */
export interface Teller {
  tell(event: PullEvent): void;
  /** What services report of a commit has changed. */
  tellChecks(checks: CommitChecks): void;
  told(): Promise<void>;
}

export function teller(parts: ApiParts): Teller {
  let last: Promise<void> = Promise.resolve();
  const inOrder = (fullName: string, made: (payloads: Payloads, directory: string) => Promise<Told[]>) => {
    last = last.then(async () => {
      const directory = await parts.locate(fullName);
      if (directory === null) return;
      const all = await made(new Payloads(parts, { fullName, directory }), directory);
      for (const [event, payload] of all) parts.webhooks.emit(event, payload);
    });
  };
  return {
    tell: (event) => {
      const about = structuredClone(event);
      inOrder(about.pull.repository, async (payloads) => [await toldOf(payloads, about)]);
    },
    tellChecks: ({ repository, commit, runs, statuses }) => {
      const isOpen = (pull: Pull) => pull.repository === repository && pull.state === 'open';
      const open = structuredClone(parts.state.pulls.filter(isOpen));
      inOrder(repository, async (payloads, directory) => {
        const heads = await Promise.all(open.map(async (pull) => ({ pull, at: await headOf(directory, pull.head) })));
        const pulls = heads.filter(({ at }) => at === commit).map(({ pull }) => pull);
        const done = runs.filter(({ status }) => status === 'completed');
        const ofRuns = done.map(
          async (run, index): Promise<Told> => [
            'check_run',
            await payloads.checkRun({ ...run, id: run.id ?? index + 1 }, commit, pulls),
          ],
        );
        const ofStatuses = statuses.map(
          async (status): Promise<Told> => ['status', await payloads.status(status, commit, pulls)],
        );
        return Promise.all([...ofRuns, ...ofStatuses]);
      });
    },
    told: () => last,
  };
}

type Told = [event: WebhookEvent, payload: object];

async function toldOf(payloads: Payloads, event: PullEvent): Promise<Told> {
  switch (event.what) {
    case 'pull':
      return ['pull_request', await payloads.pullRequest(event.action, event.pull, event.sender)];
    case 'review':
      return ['pull_request_review', await payloads.review(event.pull, event.review)];
    case 'review-comment':
      return ['pull_request_review_comment', await payloads.reviewComment(event.pull, event.comment)];
    case 'comment':
      return ['issue_comment', await payloads.comment(event.pull, event.comment)];
  }
}
