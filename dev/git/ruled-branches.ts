/** What GitHub's rulesets refuse of a push, in its words (GH013). A push with one such ref is declined as a whole. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { readPush, refusalReport } from '../../src/gateway/git/push.ts';
import { bodyReader } from '../../src/lib/body-reader.ts';

/** Which rules a push to a branch breaks, a sentence each; `isNew`: it makes the branch. */
export type BranchRules = (branch: string, isNew: boolean) => string[];

const DECLINED = 'push declined due to repository rule violations';

/**
 * Judges a push, and answers it where it is declined.
 * @returns the push's body to be served; null: it was answered
 */
export async function underRules(
  request: IncomingMessage,
  response: ServerResponse,
  rules: BranchRules,
): Promise<Readable | null> {
  const body = await buffer(request);
  const { push } = await readPush(bodyReader(new Blob([new Uint8Array(body)]).stream()));
  const broken = push.updates.map(({ ref, oldId }) => ({
    ref,
    why: ref.startsWith('refs/heads/') ? rules(ref.slice('refs/heads/'.length), /^0+$/.test(oldId)) : [],
  }));
  const words = broken
    .filter(({ why }) => why.length > 0)
    .flatMap(({ ref, why }) => [
      `error: GH013: Repository rule violations found for ${ref}.`,
      ...why.map((one) => `\n- ${one}`),
    ]);
  if (words.length === 0) return Readable.from([body]);
  const report = refusalReport(push, () => DECLINED, words.join('\n'));
  response.writeHead(200, { 'content-type': 'application/x-git-receive-pack-result', 'cache-control': 'no-cache' });
  response.end(report ?? '');
  return null;
}
