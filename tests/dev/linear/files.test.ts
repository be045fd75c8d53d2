import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LinearSimulator } from '../../../dev/linear/simulator.ts';
import { call, OPERATIONS, startWithReceiver, TOKEN } from './api.ts';

let linear: LinearSimulator;
let stop: () => Promise<void>;
beforeEach(async () => {
  ({ linear, stop } = await startWithReceiver({ webhookUrl: null }));
  linear.setClockSpeed(0);
});
afterEach(() => stop());

const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);
const read = (url: string, token?: string) =>
  fetch(url, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } });
const addPixel = () => linear.addFile({ filename: 'a pixel (1).png', contentType: 'image/png', bytes: PIXEL });

describe('A file in an issue', () => {
  it('can be read with the token of its workspace, and with no other', async () => {
    const url = addPixel();
    const { identifier } = linear.createIssue({ title: 'Look', description: `![pixel](${url})` });
    expect(linear.thread(identifier).issue.description).toContain(`${linear.url}/uploads/`);
    const answer = await read(url, TOKEN);
    expect(answer.headers.get('content-type')).toBe('image/png');
    expect(Buffer.from(await answer.arrayBuffer())).toEqual(PIXEL);
    expect((await read(url)).status).toBe(401);
    expect((await read(url, 'wrong')).status).toBe(401);
    const second = linear.in('second');
    second.install();
    second.setAccessToken('token-of-the-second');
    expect((await read(url, 'token-of-the-second')).status).toBe(404);
  });

  it('has a signed address in Markdown when the request asks for it, good without a token for that long', async () => {
    const description = `![pixel](${addPixel()}) and ${linear.url}/uploads/nothing`;
    const { identifier } = linear.createIssue({ title: 'Look', description });
    const answer = await fetch(linear.graphqlUrl, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${TOKEN}`,
        'public-file-urls-expire-in': '60',
      },
      body: JSON.stringify({ query: OPERATIONS.IssueContext, variables: { id: identifier } }),
    });
    const { issue } = ((await answer.json()) as { data: { issue: { description: string } } }).data;
    const signed = /\((http[^)]*signature=[^)]*)\)/.exec(issue.description)?.[1] ?? '';
    expect((await read(signed)).status).toBe(200);
    expect((await read(signed.replace(/.$/, (last) => (last === '0' ? '1' : '0')))).status).toBe(401);
    await linear.advance(60_000);
    expect((await read(signed)).status).toBe(401);
    expect((await call(linear, OPERATIONS.IssueContext, { id: identifier })).data.issue.description).toBe(description);
  });

  it('can refuse the token on demand, so that only a signed address is left', async () => {
    const url = addPixel();
    linear.setFaults({ uploads: { refuseTokens: true } });
    expect((await read(url, TOKEN)).status).toBe(401);
    linear.clearFaults();
    expect((await read(url, TOKEN)).status).toBe(200);
  });
});

describe('An address to upload to', () => {
  it('is good for a minute', async () => {
    const variables = { contentType: 'image/png', filename: 'shot.png', size: PIXEL.length };
    const { uploadFile } = (await call(linear, OPERATIONS.Upload, variables)).data.fileUpload;
    const asked = uploadFile.headers.map(({ key, value }: { key: string; value: string }) => [key, value]);
    const headers = {
      'content-type': 'image/png',
      'cache-control': 'public, max-age=31536000',
      ...Object.fromEntries(asked),
    };
    const put = () => fetch(uploadFile.uploadUrl, { method: 'PUT', headers, body: PIXEL });
    expect((await put()).status).toBe(200);
    await linear.advance(60_001);
    expect((await put()).status).toBe(403);
    expect((await read(uploadFile.assetUrl, TOKEN)).status).toBe(200);
  });
});
