/** One request to GitHub's REST API: what it answered, checked, or why it did not. */

import * as z from 'zod';
import { messageOf } from '../lib/error.ts';
import { parseJson } from '../lib/parse-json.ts';
import { withTimeout } from '../lib/timeout.ts';
import { sendableData } from '../protocol/text/sendable-text.ts';
import { GitHubError, toGitHubError } from './errors.ts';

/** Longest wait for an answer. */
const REQUEST_TIMEOUT_MS = 15_000;
/** docs.github.com/en/rest/about-the-rest-api/api-versions */
const API_VERSION = '2022-11-28';

export interface GitHubRequest<Schema extends z.ZodType> {
  method: 'GET' | 'POST' | 'PATCH';
  /** Below the API's address, with its leading slash and encoded parts. */
  path: string;
  /** For people: what this does, e.g. "open a pull request in acme/shop". */
  what: string;
  body?: object;
  /** What a success must look like. */
  answer: Schema;
  /**
   * Fields named `id` are read as texts: those of deliveries are larger than JavaScript's numbers are exact. Only for answers that hold no
   * text of people's.
   */
  textIds?: boolean;
}

/** A page of a list. `next`: what `cursor` of the next page is; null: there is none. */
export interface GitHubPage<T> {
  value: T;
  next: string | null;
}

/**
 * Sends a request. Redirects are not followed: the credential is meant for this address alone.
 * @param apiUrl address of the REST API, without trailing slash
 * @param token an installation token, a personal access token, or an app's JWT
 * @throws GitHubError
 */
export async function askGitHub<Schema extends z.ZodType>(
  apiUrl: string,
  token: string,
  request: GitHubRequest<Schema>,
): Promise<z.output<Schema>> {
  return (await askGitHubPage(apiUrl, token, request)).value;
}

/** The same for a list that is read page by page, by cursors. @throws GitHubError */
export async function askGitHubPage<Schema extends z.ZodType>(
  apiUrl: string,
  token: string,
  request: GitHubRequest<Schema>,
): Promise<GitHubPage<z.output<Schema>>> {
  const { method, path, what, body, answer, textIds } = request;
  const [response, text] = await exchange(apiUrl, token, { method, path, what, ...(body && { body }) });
  const json = parseJson(textIds ? text.replace(/"id":\s*(\d+)/g, '"id":"$1"') : text) ?? null;
  if (response.status >= 300 && response.status < 400) {
    throw new GitHubError('refused', `GitHub says that the repository has moved, so Cyrus could not ${what}`, {
      hint: 'Ask an admin to change the clone address in Cyrus to where the repository is now.',
    });
  }
  if (!response.ok) throw toGitHubError(what, response.status, response.headers, json, Date.now());
  const parsed = answer.safeParse(json);
  if (parsed.success) return { value: parsed.data, next: nextCursor(response.headers.get('link')) };
  throw new GitHubError(
    'unreachable',
    `GitHub's answer could not be read, so Cyrus could not ${what}: ${z.prettifyError(parsed.error).slice(0, 300)}`,
  );
}

/**
 * Where GitHub keeps something: the address to which it redirects.
 * @param what for people: what this does
 * @throws GitHubError
 */
export async function locateOnGitHub(apiUrl: string, token: string, path: string, what: string): Promise<string> {
  const [response, text] = await exchange(apiUrl, token, { method: 'GET', path, what });
  const address = response.headers.get('location');
  if (response.status === 302 && address !== null && URL.canParse(address)) return address;
  if (!response.ok && response.status >= 400) {
    throw toGitHubError(what, response.status, response.headers, parseJson(text) ?? null, Date.now());
  }
  throw new GitHubError('unreachable', `GitHub's answer could not be read, so Cyrus could not ${what}`);
}

/** Sends a request, and reads the answer. @throws GitHubError if none comes */
async function exchange(
  apiUrl: string,
  token: string,
  { method, path, what, body }: { method: string; path: string; what: string; body?: object },
): Promise<[response: Response, text: string]> {
  try {
    return await withTimeout(REQUEST_TIMEOUT_MS, async (signal) => {
      const headers: Record<string, string> = {
        accept: 'application/vnd.github+json',
        authorization: `Bearer ${token}`,
        'user-agent': 'cyrus',
        'x-github-api-version': API_VERSION,
      };
      if (body) headers['content-type'] = 'application/json';
      const answered = await fetch(`${apiUrl}${path}`, {
        method,
        headers,
        ...(body && { body: JSON.stringify(sendableData(body)) }),
        redirect: 'manual',
        signal,
      });
      return [answered, await answered.text()];
    });
  } catch (cause) {
    const why = messageOf(cause);
    throw new GitHubError('unreachable', `GitHub cannot be reached, so Cyrus could not ${what}: ${why}`, { cause });
  }
}

/** docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api */
function nextCursor(link: string | null): string | null {
  const address = /<([^<>]{1,2000})>; ?rel="next"/.exec(link ?? '')?.[1];
  return address !== undefined && URL.canParse(address) ? new URL(address).searchParams.get('cursor') : null;
}
