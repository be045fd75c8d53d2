/** Webhooks as Linear sends them: its payloads, its signature, its headers. */
import { exports } from 'cloudflare:workers';
import { toHex } from '../../../src/lib/hex.ts';

const SECRET = 'test-webhook-secret';
export const ORGANIZATION = 'org-1';
export const APP_USER = 'app-user-1';

export async function sign(body: string, secret = SECRET): Promise<string> {
  const encoder = new TextEncoder();
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const key = await crypto.subtle.importKey('raw', encoder.encode(secret), algorithm, false, ['sign']);
  return toHex(new Uint8Array(await crypto.subtle.sign('HMAC', key, encoder.encode(body))));
}

export interface Sent {
  deliveryId?: string;
  signature?: string | null;
  event?: string;
}

/** Sends a body to the webhook route, signed unless told otherwise. */
export async function send(payload: object | string, { deliveryId, signature, event }: Sent = {}): Promise<Response> {
  const body = typeof payload === 'string' ? payload : JSON.stringify(payload);
  const headers = new Headers({
    'content-type': 'application/json; charset=utf-8',
    'linear-delivery': deliveryId ?? crypto.randomUUID(),
    'linear-event': event ?? 'AgentSessionEvent',
  });
  const signed = signature === undefined ? await sign(body) : signature;
  if (signed !== null) headers.set('linear-signature', signed);
  return exports.default.fetch('http://cyrus.test/webhooks/linear', { method: 'POST', body, headers });
}

export interface Thread {
  issueId: string | null;
  agentSessionId: string;
}

/** A new issue's thread. */
export function newThread(issueId: string | null = crypto.randomUUID()): Thread {
  return { issueId, agentSessionId: crypto.randomUUID() };
}

function envelope({ issueId, agentSessionId }: Thread) {
  return {
    type: 'AgentSessionEvent',
    createdAt: new Date().toISOString(),
    organizationId: ORGANIZATION,
    oauthClientId: 'client-1',
    appUserId: APP_USER,
    webhookId: 'subscription-1',
    webhookTimestamp: Date.now(),
    agentSession: {
      id: agentSessionId,
      status: 'pending',
      type: 'commentThread',
      appUserId: APP_USER,
      organizationId: ORGANIZATION,
      creatorId: 'user-1',
      creator: { id: 'user-1', name: 'Ada', email: 'ada@example.com', url: 'https://linear.app/acme/profiles/ada' },
      issueId,
      issue: issueId && {
        id: issueId,
        identifier: 'ENG-7',
        title: 'The cart total ignores quantities',
        description: 'The test in the repository fails.',
        url: 'https://linear.app/acme/issue/ENG-7',
        teamId: 'team-1',
        team: { id: 'team-1', key: 'ENG', name: 'Engineering' },
      },
      commentId: 'comment-1',
      comment: { id: 'comment-1', body: 'This thread is for an agent session with Cyrus.' },
      fieldOfTomorrow: { anything: true },
    },
  };
}

export function created(thread: Thread, more: object = {}): object {
  return {
    ...envelope(thread),
    action: 'created',
    promptContext: '<issue identifier="ENG-7"><title>The cart total ignores quantities</title></issue>',
    previousComments: null,
    guidance: null,
    ...more,
  };
}

export function prompted(thread: Thread, text: string, more: object = {}): object {
  return {
    ...envelope(thread),
    action: 'prompted',
    agentActivity: {
      id: crypto.randomUUID(),
      agentSessionId: thread.agentSessionId,
      content: { type: 'prompt', body: text },
      signal: null,
      sourceCommentId: 'comment-2',
      userId: 'user-1',
      user: { id: 'user-1', name: 'Ada', email: 'ada@example.com' },
      ...more,
    },
  };
}

/** Something Linear notifies the app user of. */
export function notification(thread: Thread, action: string, more: object = {}): object {
  const { agentSession, ...rest } = envelope(thread);
  const { issue } = agentSession;
  return {
    ...rest,
    type: 'AppUserNotification',
    action,
    notification: {
      id: crypto.randomUUID(),
      type: action,
      userId: APP_USER,
      actorId: 'user-1',
      actor: { id: 'user-1', name: 'Ada' },
      issueId: thread.issueId,
      issue,
      ...more,
    },
  };
}

/** A change of an issue; `changed` holds the previous values. */
export function issueUpdate(thread: Thread, changed: object, data: object = {}, action = 'update'): object {
  return {
    type: 'Issue',
    action,
    organizationId: ORGANIZATION,
    webhookId: 'subscription-1',
    webhookTimestamp: Date.now(),
    createdAt: new Date().toISOString(),
    actor: { id: 'user-1', name: 'Ada', type: 'user' },
    url: 'https://linear.app/acme/issue/ENG-7',
    data: {
      id: thread.issueId,
      identifier: 'ENG-7',
      title: 'The cart total ignores quantities',
      description: 'Changed.',
      updatedAt: new Date().toISOString(),
      delegateId: APP_USER,
      state: { id: 's', name: 'In Progress', type: 'started' },
      ...data,
    },
    updatedFrom: changed,
  };
}

export function permissionChange(removedTeamIds: string[]): object {
  const { agentSession: _, ...rest } = envelope(newThread());
  return { ...rest, type: 'PermissionChange', action: 'teamAccessChanged', addedTeamIds: [], removedTeamIds };
}

export function appRevoked(): object {
  const { agentSession: _, ...rest } = envelope(newThread());
  return { ...rest, type: 'OAuthApp', action: 'revoked' };
}
