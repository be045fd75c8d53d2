import type { SandboxStep } from '../../protocol/sandbox/events.ts';

/** What a step of the preparations is called while it runs, once it is done, and if it did not succeed. */
export const stepWords: Record<SandboxStep, { doing: string; done: string; failed: string }> = {
  mirror: { doing: 'Fetching the repository', done: 'Repository fetched', failed: 'The repository was not fetched' },
  worktree: { doing: 'Checking out the branch', done: 'Branch checked out', failed: 'The branch was not checked out' },
  restore: { doing: 'Restoring the work', done: 'Work restored', failed: 'The work was not restored' },
  setup: { doing: 'Running cyrus-setup.sh', done: 'cyrus-setup.sh ran', failed: 'cyrus-setup.sh failed' },
  claude: { doing: 'Starting Claude', done: 'Claude started', failed: 'Claude did not start' },
  save: { doing: 'Saving the work', done: 'Work saved', failed: 'The work was not saved' },
};
