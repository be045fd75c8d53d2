/** The requests of the pages about people, as those of `../api.ts`. */
import {
  type AuditPage,
  auditPageSchema,
  type NewToken,
  newTokenSchema,
  type SignIns,
  signInsSchema,
  type TokenInput,
  type Tokens,
  tokensSchema,
} from '../../protocol/people.ts';
import { type Answer, parsed, posted, request } from '../api.ts';

/** `GET /api/me/sign-ins`: the browsers in which the person is signed in. */
export function fetchSignIns(signal: AbortSignal): Promise<Answer<SignIns>> {
  return request('/api/me/sign-ins', { signal }, (body) => parsed(signInsSchema.safeParse(body)));
}

/** `DELETE /api/me/sign-ins/:id`: signs one of them out. */
export function endSignIn(id: string): Promise<Answer<true>> {
  return request(`/api/me/sign-ins/${encodeURIComponent(id)}`, { method: 'DELETE' }, () => true as const);
}

/** `GET /api/me/tokens`: the tokens by which programs act for the person. */
export function fetchTokens(signal: AbortSignal): Promise<Answer<Tokens>> {
  return request('/api/me/tokens', { signal }, (body) => parsed(tokensSchema.safeParse(body)));
}

/** `POST /api/me/tokens`: makes one; the answer alone has the token itself. */
export function makeToken(input: TokenInput): Promise<Answer<NewToken>> {
  return request('/api/me/tokens', posted(input), (body) => parsed(newTokenSchema.safeParse(body)));
}

/** `DELETE /api/me/tokens/:id`: revokes one, at once. */
export function revokeToken(id: string): Promise<Answer<true>> {
  return request(`/api/me/tokens/${encodeURIComponent(id)}`, { method: 'DELETE' }, () => true as const);
}

/** Which part of the audit log. `workspace`: null for all of it, which owners read. `action`: what actions begin with; empty: all. */
export interface AuditQuery {
  workspace: string | null;
  action: string;
}

/** `GET /api/audit`: a page, newest first. @param before `next` of the page before; left out: the newest */
export function fetchAudit(query: AuditQuery, signal: AbortSignal, before?: number): Promise<Answer<AuditPage>> {
  const more: Record<string, string> = before === undefined ? {} : { before: String(before) };
  return request(auditPath(query, '', more), { signal }, (body) => parsed(auditPageSchema.safeParse(body)));
}

/** Address of the same as a CSV file. */
export function auditFile(query: AuditQuery): string {
  return auditPath(query, '/export', {});
}

function auditPath({ workspace, action }: AuditQuery, end: '' | '/export', more: Record<string, string>): string {
  const query = new URLSearchParams({ ...(action !== '' && { action }), ...more });
  const path = `/api/audit${workspace === null ? '' : `/${encodeURIComponent(workspace)}`}${end}`;
  return query.size === 0 ? path : `${path}?${query}`;
}
