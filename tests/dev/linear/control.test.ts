import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type LinearSimulator, ListenError, startLinearSimulator } from '../../../dev/linear/simulator.ts';
import { DataFileError } from '../../../dev/linear/state/data-file.ts';
import { addActivity, call, OPERATIONS, type Receiver, startWithReceiver, TOKEN, WEBHOOK_SECRET } from './api.ts';

let linear: LinearSimulator;
let receiver: Receiver;
let stop: () => Promise<void>;
beforeEach(async () => {
  ({ linear, receiver, stop } = await startWithReceiver());
});
afterEach(() => stop());

async function control(method: string, path: string, body?: unknown) {
  const answer = await fetch(`${linear.url}/control/${path}`, {
    method,
    ...(body !== undefined && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  // biome-ignore lint/suspicious/noExplicitAny: each route answers something else
  return { status: answer.status, body: (await answer.json()) as any };
}

describe('The control API', () => {
  it('plays a whole story: an issue, its assignment, a follow-up, a stop', async () => {
    const issue = (await control('POST', 'issues', { title: 'Round to cents', labels: ['Bug'] })).body;
    expect(issue).toMatchObject({ identifier: 'ENG-2', state: { name: 'Todo' }, session: null });
    const session = (await control('POST', 'issues/ENG-2/delegate', {})).body;
    expect(session).toMatchObject({ status: 'pending', activities: [] });
    await addActivity(linear, session.id, { type: 'action', action: 'Run', parameter: 'ls' }, { ephemeral: true });
    await control('POST', 'issues/ENG-2/comments', { body: 'also add tests' });
    await control('POST', 'issues/ENG-2/mention', { body: 'and hurry' });
    await control('POST', 'issues/ENG-2/stop', {});
    await addActivity(linear, session.id, { type: 'response', body: 'Stopped.' });
    await control('PUT', 'issues/ENG-2/state', { state: 'In Review' });
    await control('POST', 'issues/ENG-2/undelegate', {});
    const thread = (await control('GET', 'issues/eng-2')).body;
    expect(thread.issue).toMatchObject({ delegated: false, state: { name: 'In Review' } });
    expect(thread.sessions).toMatchObject([
      {
        status: 'complete',
        activities: [
          { type: 'action', ephemeral: true, visible: false, author: { app: true } },
          { type: 'prompt', content: { body: 'also add tests' }, author: { app: false } },
          { type: 'prompt', content: { body: '@cyrus and hurry' } },
          { type: 'prompt', signal: 'stop' },
          { type: 'response', content: { body: 'Stopped.' } },
        ],
      },
    ]);
    expect((await control('GET', `sessions/${session.id}`)).body).toEqual(thread.sessions[0]);
    expect((await control('GET', 'issues')).body).toMatchObject([{ identifier: 'ENG-2' }, { identifier: 'ENG-1' }]);
  });

  it('offers all that people do, and OAuth', async () => {
    const file = { filename: 'log.txt', contentType: 'text/plain', base64: 'YSBsb2c=' };
    const { url } = (await control('POST', 'files', file)).body;
    expect(await (await fetch(url, { headers: { authorization: `Bearer ${TOKEN}` } })).text()).toBe('a log');
    await control('PATCH', 'issues/ENG-1', { title: 'Other', description: url, labels: ['Bug'], assigned: true });
    expect((await control('GET', 'issues/ENG-1')).body.issue).toMatchObject({
      title: 'Other',
      labels: [{ name: 'Bug' }],
    });
    await control('POST', 'issues/ENG-1/reactions', { emoji: 'heart' });
    await control('POST', 'issues/ENG-1/notifications', { kind: 'issueDue' });
    await control('PUT', 'team-access', { teams: [] });
    await control('PUT', 'repository-suggestions', { suggestions: null });
    const document = (await control('POST', 'documents', { title: 'Plan' })).body;
    const session = (await control('POST', `documents/${document.id}/mention`, { body: 'hi' })).body;
    await control('POST', `sessions/${session.id}/comments`, { body: 'more' });
    await control('POST', `sessions/${session.id}/stop`, {});
    expect((await control('GET', `documents/${document.id}`)).body.sessions[0].activities).toHaveLength(2);
    expect((await control('GET', 'documents')).body).toHaveLength(1);
    expect((await control('DELETE', 'issues/ENG-1', {})).body).toMatchObject({ removed: true });
    expect((await control('PUT', 'admin', { isAdmin: false })).status).toBe(200);
    expect((await control('GET', 'state')).body.person).toMatchObject({ isAdmin: false });
    await control('POST', 'uninstall', {});
    expect((await control('GET', 'state')).body.installed).toBeNull();
    await control('POST', 'install', {});
    linear.oauth.issueTokens(linear.workspace.id);
    expect((await control('GET', 'oauth/tokens')).body).toMatchObject([
      { workspaceId: linear.workspace.id, actor: 'app' },
    ]);
    expect((await control('POST', 'oauth/tokens/expire', {})).body).toEqual({ expired: 1 });
    expect((await control('POST', 'oauth/tokens/revoke', {})).body).toEqual({ revoked: 1 });
    expect((await control('GET', 'oauth/applications')).body).toMatchObject([{ clientId: linear.oauthClientId }]);
    await control('POST', 'oauth/workspaces', { name: 'Third', urlKey: 'third' });
    expect((await control('GET', 'oauth/workspaces')).body).toHaveLength(3);
    await linear.webhooksSettled();
    const kinds = receiver.received.map(({ payload }) => `${payload.type} ${payload.action}`);
    expect(kinds).toEqual(
      expect.arrayContaining(['Issue remove', 'PermissionChange teamAccessChanged', 'OAuthApp revoked']),
    );
  });

  it('shows deliveries and calls, and sets clock, faults and address', async () => {
    expect((await control('PUT', 'clock', { speed: 60 })).status).toBe(200);
    expect((await control('POST', 'clock/advance', { ms: 1_000 })).status).toBe(200);
    const faults = { graphql: [{ fault: 'http-error', times: 1 }] };
    expect((await control('PUT', 'faults', faults)).status).toBe(200);
    expect((await control('GET', 'faults')).body.graphql).toMatchObject([{ fault: 'http-error', status: 503 }]);
    expect((await control('DELETE', 'faults', {})).status).toBe(200);
    expect((await control('GET', 'faults')).body.graphql).toEqual([]);
    linear.createIssue({ title: 'Something' });
    await linear.webhooksSettled();
    const [delivery] = (await control('GET', 'deliveries?event=Issue&state=delivered')).body;
    expect(delivery).toMatchObject({ action: 'create', attempts: [{ status: 200 }] });
    expect(delivery).not.toHaveProperty('body');
    expect((await control('GET', `deliveries/${delivery.id}`)).body.body).toBe(receiver.received[0]?.body);
    expect((await control('GET', 'calls')).body).toMatchObject({ total: 0 });
    expect((await control('PUT', 'webhook-url', { url: null })).status).toBe(200);
    expect((await control('GET', 'state')).body).toMatchObject({
      workspace: linear.workspace,
      appUser: { id: linear.appUserId },
      clock: { speed: 60 },
      webhookUrl: null,
    });
  });

  it.each<[string, string, unknown, number, string]>([
    ['POST', 'issues', { title: '  ' }, 400, 'an issue needs a title'],
    ['POST', 'issues', { titel: 'x' }, 400, 'titel'],
    ['POST', 'issues', { title: 'x', team: 'OPS' }, 404, 'there is no team OPS; there is ENG'],
    ['POST', 'issues/ENG-9/delegate', {}, 404, 'there is no issue ENG-9'],
    ['POST', 'issues/ENG-1/undelegate', {}, 409, 'ENG-1 is not assigned to Cyrus'],
    ['POST', 'issues/ENG-1/stop', {}, 409, 'ENG-1 has no agent session to stop'],
    ['POST', 'issues/ENG-1/comments', { body: 'x', thread: 'agent' }, 409, 'no agent session to reply to'],
    ['POST', 'issues/ENG-1/comments', { body: ' ' }, 400, 'a comment needs text'],
    ['PUT', 'issues/ENG-1/state', { state: 'Nowhere' }, 400, 'has no state "Nowhere"; it has Backlog, Todo'],
    ['PUT', 'clock', { speed: -1 }, 400, 'speed'],
    ['PUT', 'faults', { graphql: [{ fault: 'gremlins' }] }, 400, 'fault'],
    ['PUT', 'webhook-url', { url: 'nonsense' }, 400, 'the webhook address must be http(s)'],
    ['POST', 'sessions/none/comments', { body: 'x' }, 404, 'there is no agent session none'],
    ['PUT', 'team-access', { teams: ['OPS'] }, 404, 'there is no team OPS'],
    ['POST', 'files', { filename: 'x', contentType: 'text/plain', base64: '§' }, 400, 'must be the file in base64'],
    ['POST', 'oauth/approve', { url: 'http://x.example/' }, 400, 'there is no application'],
    ['POST', 'oauth/workspaces', { name: 'x', urlKey: 'UPPER' }, 400, 'urlKey'],
    ['POST', 'oauth/applications', { manifest: {} }, 400, 'developer'],
    ['GET', 'workspaces/none/state', undefined, 404, 'there is no workspace none'],
    ['GET', 'sessions/none', undefined, 404, 'there is no agent session none'],
    ['GET', 'deliveries?state=lost', undefined, 400, 'state'],
    ['DELETE', 'issues', {}, 404, 'no DELETE /control/issues; there is GET, POST'],
  ])('says what is wrong with %s %s %j, and changes nothing', async (method, path, body, status, message) => {
    const before = JSON.stringify(linear.thread('ENG-1'));
    const answer = await control(method, path, body);
    expect(answer.status).toBe(status);
    expect(answer.body.error).toContain(message);
    expect(JSON.stringify(linear.thread('ENG-1'))).toBe(before);
    expect(linear.issues()).toHaveLength(1);
  });

  it('is closed to pages of other sites: by content type, and by host name', async () => {
    const url = `${linear.url}/control/issues`;
    const simple = await fetch(url, { method: 'POST', body: JSON.stringify({ title: 'x' }) });
    expect(simple.status).toBe(403);
    const rebound = await new Promise<number | undefined>((resolve, reject) => {
      httpRequest(url, { headers: { host: 'evil.example' } }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      })
        .on('error', reject)
        .end();
    });
    expect(rebound).toBe(403);
    expect(linear.issues()).toHaveLength(1);
  });

  it('tells open pages of changes as they happen', async () => {
    const events = await fetch(`${linear.url}/control/events`);
    const reader = events.body?.pipeThrough(new TextDecoderStream()).getReader();
    let seen = '';
    const until = async (text: string) => {
      while (!seen.includes(text)) seen += (await reader?.read())?.value ?? '';
    };
    await until('event: ready');
    const session = linear.delegate('ENG-1');
    await until('"status":"pending"');
    await addActivity(linear, session.id, { type: 'thought', body: 'hm' });
    await until('"status":"active"');
    linear.setClockSpeed(0);
    await reader?.cancel();
  });
});

describe('The data file', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'linear-simulator-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const start = (webhookUrl: string | null = null) => {
    const dataFile = join(folder, 'state', 'linear.json');
    return startLinearSimulator({ webhookUrl, webhookSecret: WEBHOOK_SECRET, accessToken: TOKEN, dataFile });
  };

  it('brings threads back after a restart, on another port too', async () => {
    const first = await start();
    const session = first.delegate('ENG-1');
    await addActivity(first, session.id, { type: 'thought', body: 'remember me' });
    const before = first.thread('ENG-1');
    await first.close();
    const second = await start();
    try {
      const after = second.thread('ENG-1');
      const withoutPort = (value: object, { url }: LinearSimulator) => JSON.stringify(value).replaceAll(url, '');
      expect(withoutPort(after, second)).toBe(withoutPort(before, first));
      expect(second.workspace).toEqual(first.workspace);
      expect(second.createIssue({ title: 'Next' }).identifier).toBe('ENG-2');
    } finally {
      await second.close();
    }
  });

  it('keeps applications, installations and tokens, in every workspace', async () => {
    const first = await start();
    const second = first.in('second');
    second.install();
    const secondId = second.state().workspace.id;
    const tokens = first.oauth.issueTokens(secondId);
    first.createWorkspace('Third', 'third');
    await first.close();
    const again = await start();
    try {
      expect(again.workspaces().map(({ urlKey }) => urlKey)).toEqual(['example', 'second', 'third']);
      expect(again.in('second').state().installed).toMatchObject({ clientId: again.oauthClientId });
      expect((await call(again, OPERATIONS.Identity, {}, tokens.access_token)).data.viewer.organization.id).toBe(
        secondId,
      );
      expect(again.oauth.tokens()).toMatchObject([{ refreshToken: tokens.refresh_token, workspaceId: secondId }]);
    } finally {
      await again.close();
    }
  });

  it('of an earlier version is read still', async () => {
    const first = await start();
    first.delegate('ENG-1');
    await first.close();
    const path = join(folder, 'state', 'linear.json');
    const saved = JSON.parse(await readFile(path, 'utf8'));
    const earlier = JSON.stringify(saved, (key, value) => {
      const since = [
        'otherWorlds',
        'oauth',
        'documents',
        'projects',
        'documentId',
        'projectId',
        'trashed',
        'admin',
        'clientId',
      ];
      return since.includes(key) ? undefined : value;
    });
    await writeFile(path, earlier);
    const second = await start();
    try {
      expect(second.thread('ENG-1').sessions).toHaveLength(1);
      expect(second.state()).toMatchObject({ installed: { name: 'Cyrus' }, person: { isAdmin: true } });
      expect((await call(second, OPERATIONS.Identity)).status).toBe(200);
    } finally {
      await second.close();
    }
  });

  it('keeps the webhooks that still have to be retried', async () => {
    receiver.answer = (response) => response.writeHead(500).end();
    const first = await start(receiver.url);
    first.delegate('ENG-1');
    await first.webhooksSettled();
    await first.close();
    const bodies = receiver.received.map(({ body }) => body).sort();
    receiver.received.length = 0;
    receiver.answer = (response) => response.end();
    const second = await start(receiver.url);
    try {
      await second.advance(60_000);
      expect(receiver.received.map(({ body }) => body).sort()).toEqual(bodies);
      expect(receiver.received.every(({ signed }) => signed)).toBe(true);
    } finally {
      await second.close();
    }
  });

  it('never lets the clock go back', async () => {
    const first = await start();
    await first.advance(48 * 3_600_000);
    first.createIssue({ title: 'From the future' });
    await first.close();
    const second = await start();
    try {
      expect(Date.parse(second.state().clock.now)).toBeGreaterThan(Date.now() + 47 * 3_600_000);
    } finally {
      await second.close();
    }
  });

  it('is replaced as a whole, and leaves nothing beside it', async () => {
    const first = await start();
    for (let number = 0; number < 20; number += 1) first.createIssue({ title: `Issue ${number}` });
    await first.waitFor('the file', () => first.issues().length === 21);
    await first.close();
    expect(await readdir(join(folder, 'state'))).toEqual(['linear.json']);
    expect(JSON.parse(await readFile(join(folder, 'state', 'linear.json'), 'utf8')).world.issues).toHaveLength(21);
  });

  it('is refused, not overwritten, when it holds something else', async () => {
    const first = await start();
    first.createIssue({ title: 'x' });
    await first.close();
    const path = join(folder, 'state', 'linear.json');
    await writeFile(path, '{"version":2}');
    await expect(start()).rejects.toThrow(DataFileError);
    expect(await readFile(path, 'utf8')).toBe('{"version":2}');
  });
});

describe('Starting', () => {
  it('says when the port is taken', async () => {
    const port = Number(new URL(linear.url).port);
    const options = { webhookUrl: null, webhookSecret: WEBHOOK_SECRET, accessToken: TOKEN };
    await expect(startLinearSimulator({ ...options, port })).rejects.toThrow(ListenError);
  });

  it('can be another workspace', async () => {
    const workspace = { id: 'a7b1c2d3-e4f5-4a6b-8c7d-9e0f1a2b3c4d', name: 'Other', urlKey: 'other' };
    const other = await startLinearSimulator({
      ...{ webhookUrl: null, webhookSecret: WEBHOOK_SECRET, accessToken: TOKEN, workspace },
    });
    expect(other.workspace).toEqual(workspace);
    expect(other.issues()[0]?.url).toContain('/other/issue/ENG-1/the-cart-total-ignores-quantities');
    await other.close();
  });
});
