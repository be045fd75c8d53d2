/** The main job as people live through it, the same wherever the sandboxes are. */
import { assignedIssue } from './assigned-issue.ts';
import { attachments } from './attachments.ts';
import { mcp } from './mcp.ts';
import { permissions } from './permissions.ts';
import { type Run, same } from './run.ts';
import type { Stage } from './stage.ts';
import { stopping } from './stopping.ts';
import { watching } from './watching.ts';
import { workerKilled } from './worker-killed.ts';

/** Plays all of it. @returns the times of the flight record */
export async function scenario(run: Run, stage: Stage): Promise<object> {
  const flight = await assignedIssue(run, stage);
  await watching(run, stage);
  await attachments(run, stage);
  await permissions(run, stage);
  await mcp(run, stage);
  const stop = await stopping(run, stage);
  const killed = await workerKilled(run, stage);
  await run.promise('No page has complained in the browser’s console', async () => {
    same('Errors in the console', stage.console.errors, []);
  });
  return { ...flight, ...stop, workerKilled: killed };
}
