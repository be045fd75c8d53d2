/** The gateway's `/checkpoint`: where checkpoints are put, and got back by another life. */
import { createHash, randomBytes } from 'node:crypto';
import { messageOf } from '../../src/lib/error.ts';
import { parseJson } from '../../src/lib/parse-json.ts';
import {
  type CheckpointManifest,
  type CheckpointObject,
  MAX_CHECKPOINT_OBJECT_BYTES,
  staleCheckpointSchema,
} from '../../src/protocol/checkpoint.ts';
import { pause } from '../clock.ts';
import { askGateway, type GatewayAccess, GatewayRequestError } from './request.ts';

const REQUEST_TIMEOUT_MS = 60_000;
/** Pauses between tries of a request that failed for a reason that passes. */
const RETRY_PAUSES_MS = [300, 1_000, 3_000, 6_000];

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
  access: GatewayAccess,
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
  access: GatewayAccess,
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
  access: GatewayAccess,
  generation: number,
  object: CheckpointObject,
): Promise<Buffer<ArrayBuffer>> {
  // Anyone who restores tries again by itself, for as long as it takes.
  const answer = await ask(access, `/${generation}/${object.name}`, { method: 'GET' }, [], []);
  const body = await answer.arrayBuffer().catch((error: unknown) => {
    const why = messageOf(error);
    throw new CheckpointStoreError(`${object.name} was cut off: ${why}`, { passes: true, status: null });
  });
  const content = Buffer.from(body);
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
  access: GatewayAccess,
  path: string,
  init: RequestInit,
  accepted: number[] = [],
  pauses = RETRY_PAUSES_MS,
): Promise<Response> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await askGateway(access, `/checkpoint${path}`, init, REQUEST_TIMEOUT_MS, accepted);
    } catch (error) {
      if (!(error instanceof GatewayRequestError)) throw error;
      const { status, message } = error;
      const passes = status === null || status >= 500 || status === 429 || status === 408;
      const wait = pauses[attempt];
      if (!passes || wait === undefined || access.signal.aborted) {
        throw new CheckpointStoreError(message, { passes, status });
      }
      await pause(wait * (0.75 + Math.random() / 2), access.signal);
    }
  }
}
