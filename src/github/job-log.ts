/** The log of a job of GitHub Actions: the part that says why it failed. */
import { messageOf } from '../lib/error.ts';
import { isLoopback } from '../lib/loopback.ts';
import { plainOutput } from '../lib/terminal-text.ts';
import { withTimeout } from '../lib/timeout.ts';
import type { GitHubApi } from './access.ts';
import { GitHubError } from './errors.ts';
import { pathOf } from './pull-requests.ts';

const LIMIT_MS = 20_000;
/** A log is read no further, in bytes. */
const MOST_BYTES = 16 * 1024 * 1024;
/** Of what was read the end is kept, in UTF-16 code units. */
const KEPT = 128 * 1024;
/** Lines that are told before the last error, and after it. */
const BEFORE = 120;
const AFTER = 10;

/**
 * The lines of a job's log around its last error; without one its end.
 * @param id of the job, which is that of its check run (docs.github.com/en/rest/actions/workflow-jobs#download-job-logs-for-a-workflow-run)
 * @throws GitHubError
 */
export async function readJobLog(api: GitHubApi, id: number): Promise<string> {
  const address = await api.locate(`${pathOf(api)}/actions/jobs/${id}/logs`, 'read the log of a job');
  return relevantPart(await endOf(address));
}

/** The address is signed by GitHub and good for a minute; it gets no credential. */
async function endOf(address: string): Promise<string> {
  const { protocol, hostname } = new URL(address);
  if (protocol !== 'https:' && !isLoopback(hostname)) {
    throw new GitHubError('refused', 'GitHub names an address without https for the log of a job');
  }
  try {
    return await withTimeout(LIMIT_MS, async (signal) => {
      const response = await fetch(address, { signal, redirect: 'error' });
      if (!response.ok || !response.body) throw new Error(`it answered ${response.status}`);
      const decoder = new TextDecoder();
      let kept = '';
      let bytes = 0;
      for await (const chunk of response.body) {
        kept = (kept + decoder.decode(chunk, { stream: true })).slice(-KEPT);
        bytes += chunk.byteLength;
        if (bytes > MOST_BYTES) break;
      }
      return kept;
    });
  } catch (cause) {
    throw new GitHubError('unreachable', `The log of a job cannot be read: ${messageOf(cause)}`, { cause });
  }
}

const TIME = /^\uFEFF?\d{4}-\d\d-\d\dT[\d:.]{8,20}Z /;

/** Without times and colours. */
export function relevantPart(text: string): string {
  const lines = text.split(/\r?\n/).map((line) => plainOutput(line.replace(TIME, '')));
  const last = lines.findLastIndex((line) => line.startsWith('##[error]'));
  const end = last < 0 ? lines.length : last + 1 + AFTER;
  return lines
    .slice(Math.max(0, (last < 0 ? lines.length : last) - BEFORE), end)
    .join('\n')
    .trim();
}
