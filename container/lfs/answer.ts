/**
 * The gateway's answer to a batch of Git LFS names its own address for each object, at which git-lfs would arrive without a token. The session
 * is told the address of its own way there instead.
 */
import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { parseJson } from '../../src/lib/parse-json.ts';

/** The gateway itself takes no larger answer from a git host. */
const MAX_BYTES = 9 * 1024 * 1024;

const actionSchema = z.looseObject({ href: z.string() });
const answerSchema = z.looseObject({
  objects: z.array(z.looseObject({ actions: z.record(z.string(), actionSchema).nullish() })),
});

/**
 * Reads an answer and puts `ownUrl` in the place of the gateway's address.
 * @param gatewayUrl as the session was told it; an answer may name the same path at another name of the gateway
 * @throws Error for an answer that is too large, cut off, or none
 */
export async function withOwnAddresses(answer: IncomingMessage, gatewayUrl: string, ownUrl: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer) {
    bytes += (chunk as Buffer).length;
    if (bytes > MAX_BYTES) throw new Error('the answer of Git LFS is too large');
    chunks.push(chunk as Buffer);
  }
  const parsed = answerSchema.safeParse(parseJson(Buffer.concat(chunks).toString('utf8')));
  if (!parsed.success) throw new Error('the answer of Git LFS cannot be read');
  for (const object of parsed.data.objects) {
    for (const action of Object.values(object.actions ?? {})) action.href = ownAddress(action.href, gatewayUrl, ownUrl);
  }
  return Buffer.from(JSON.stringify(parsed.data));
}

function ownAddress(href: string, gatewayUrl: string, ownUrl: string): string {
  if (href.startsWith(`${gatewayUrl}/`)) return `${ownUrl}${href.slice(gatewayUrl.length)}`;
  if (!URL.canParse(href)) return href;
  // Known to its own Worker by another name: the path below the gateway's is the same.
  const { pathname, search } = new URL(href);
  const base = new URL(gatewayUrl).pathname.replace(/\/$/, '');
  return pathname.startsWith(`${base}/git/`) ? `${ownUrl}${pathname.slice(base.length)}${search}` : href;
}
