/** Webhooks as GitHub sends them: its headers, its signature. */

import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import worker from '../../../src/index.ts';
import { sign } from './linear-webhook.ts';

const SECRET = 'test-github-webhook-secret';

export interface SentToGitHubRoute {
  deliveryId?: string;
  /** Left out: the right one; null: none. */
  signature?: string | null;
  contentType?: string;
  /** Bindings of the Worker; left out: those of the tests. */
  bindings?: Env;
}

/** Sends a webhook to the route, signed unless told otherwise. */
export async function sendGitHub(
  event: string,
  payload: object | string,
  { deliveryId, signature, contentType = 'application/json', bindings }: SentToGitHubRoute = {},
): Promise<Response> {
  const body = typeof payload === 'string' ? payload : JSON.stringify(payload);
  const headers = new Headers({
    'content-type': contentType,
    'x-github-event': event,
    'x-github-delivery': deliveryId ?? crypto.randomUUID(),
  });
  const signed = signature === undefined ? `sha256=${await sign(body, SECRET)}` : signature;
  if (signed !== null) headers.set('x-hub-signature-256', signed);
  const request = new Request('http://cyrus.test/webhooks/github', { method: 'POST', body, headers });
  if (!bindings) return exports.default.fetch(request);
  const context = createExecutionContext();
  const response = await worker.fetch(request, bindings, context);
  await waitOnExecutionContext(context);
  return response;
}

/** An App's private key, made for a test, and bindings with it. */
export async function withApp(): Promise<Env> {
  const pair = { name: 'RSASSA-PKCS1-v1_5', modulusLength: 2048, hash: 'SHA-256' };
  // A pair, for the algorithm is one of pairs.
  const { privateKey } = (await crypto.subtle.generateKey(
    { ...pair, publicExponent: new Uint8Array([1, 0, 1]) },
    true,
    ['sign', 'verify'],
  )) as CryptoKeyPair;
  const der = new Uint8Array((await crypto.subtle.exportKey('pkcs8', privateKey)) as ArrayBuffer);
  const pem = `-----BEGIN PRIVATE KEY-----\n${btoa(String.fromCharCode(...der))}\n-----END PRIVATE KEY-----\n`;
  return { ...env, GITHUB_APP_ID: '1', GITHUB_APP_PRIVATE_KEY: pem } as Env;
}
