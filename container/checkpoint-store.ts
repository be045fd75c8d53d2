/** The gateway's `/checkpoint`: where checkpoints are put, and got back by another life. */
import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type CheckpointManifest,
  type CheckpointObject,
  MAX_CHECKPOINT_OBJECT_BYTES,
  staleCheckpointSchema,
} from '../src/protocol/checkpoint.ts';
import { parseJson } from '../src/protocol/parse-json.ts';

const REQUEST_TIMEOUT_MS = 60_000;
/** Pauses between tries of a request that failed for a reason that passes. */
const RETRY_PAUSES_MS = [300, 1_000, 3_000, 6_000];

/** Where the gateway is, and what it is shown. */
export interface CheckpointAccess {
  gateway: { url: string; token: string };
  signal: AbortSignal;
}

/** The gateway refused, or did not answer in several tries. `passes`: another try later may succeed. */
export class CheckpointStoreError extends Error {
  override readonly name = 'CheckpointStoreError';
  readonly passes: boolean;
  readonly status: number | null;
  constructor(message: string, failure: { passes: boolean; status: number | null }) {
    super(message);
    this.passes = failure.passes;
    this.status = failure.status;
  }
}

/**
 * Stores an object under a new name.
 * @param sequence number of the checkpoint it is made for; in front of the name
 * @throws CheckpointStoreError
 */
export async function putObject(
  access: CheckpointAccess,
  sequence: number,
  kind: 'bundle' | 'part',
  content: Buffer<ArrayBuffer>,
): Promise<CheckpointObject> {
  const name = `${String(sequence).padStart(8, '0')}-${randomBytes(4).toString('hex')}.${kind}`;
  // Fetch sends the length of a buffer, which the gateway needs.
  await ask(access, `/${name}`, { method: 'PUT', body: content });
  return { name, bytes: content.length, sha256: sha256(content) };
}

/**
 * Makes a checkpoint count.
 * @returns `stored`; or the number of a newer one that is known already
 * @throws CheckpointStoreError; with status 409 when another life has taken over
 */
export async function putManifest(
  access: CheckpointAccess,
  manifest: CheckpointManifest,
): Promise<'stored' | { newer: number }> {
  const headers = { 'content-type': 'application/json' };
  const answer = await ask(access, '', { method: 'PUT', headers, body: JSON.stringify(manifest) }, [409]);
  const text = await answer.text();
  if (answer.ok) return 'stored';
  const stale = staleCheckpointSchema.safeParse(parseJson(text));
  if (!stale.success) throw new CheckpointStoreError(text.slice(0, 300), { passes: false, status: 409 });
  // The answer to an earlier try was lost.
  return stale.data.sequence === manifest.sequence ? 'stored' : { newer: stale.data.sequence };
}

/**
 * Gets an object and compares it with what the manifest says of it.
 * @throws CheckpointStoreError, with `passes` false when it is gone or not what was stored
 */
export async function getObject(
  access: CheckpointAccess,
  generation: number,
  object: CheckpointObject,
): Promise<Buffer<ArrayBuffer>> {
  const answer = await ask(access, `/${generation}/${object.name}`, { method: 'GET' });
  const content = Buffer.from(await answer.arrayBuffer());
  if (content.length > MAX_CHECKPOINT_OBJECT_BYTES || sha256(content) !== object.sha256) {
    throw new CheckpointStoreError(`${object.name} is not what was stored`, { passes: false, status: null });
  }
  return content;
}

/** SHA-256 in hex. */
export function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

async function ask(
  { gateway, signal }: CheckpointAccess,
  path: string,
  init: RequestInit,
  accepted: number[] = [],
): Promise<Response> {
  for (let attempt = 0; ; attempt++) {
    const problem = await once();
    if (problem instanceof Response) return problem;
    const wait = RETRY_PAUSES_MS[attempt];
    if (!problem.passes || wait === undefined || signal.aborted) throw problem;
    await sleep(wait * (0.75 + Math.random() / 2), undefined, { ref: false });
  }

  async function once(): Promise<Response | CheckpointStoreError> {
    try {
      const answer = await fetch(`${gateway.url}/checkpoint${path}`, {
        ...init,
        headers: { ...init.headers, authorization: `Bearer ${gateway.token}` },
        redirect: 'error',
        signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
      });
      if (answer.ok || accepted.includes(answer.status)) return answer;
      const { status } = answer;
      const text = (await answer.text()).slice(0, 300);
      const passes = status >= 500 || status === 429 || status === 408;
      return new CheckpointStoreError(`the gateway answered ${status} ${text}`, { passes, status });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return new CheckpointStoreError(`the gateway did not answer: ${why}`, { passes: true, status: null });
    }
  }
}
