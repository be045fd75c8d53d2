/** The author of commits that a GitHub App makes: its own bot account, as GitHub writes it itself. */
import * as z from 'zod';
import type { Config } from '../config/config.ts';
import { asError } from '../lib/error.ts';
import { log } from '../observability/log.ts';
import type { GitHubApi } from './access.ts';
import { appToken } from './installation-tokens.ts';
import { askGitHub } from './request.ts';

export interface Author {
  name: string;
  email: string;
}

const known = new Map<string, Author>();

/**
 * `<slug>[bot]` with the address by which GitHub shows it as the App's
 * (docs.github.com/en/rest/apps/apps#get-the-authenticated-app).
 * @returns null if there is no App, or GitHub does not tell
 */
export async function appAuthor(config: Config, api: () => Promise<GitHubApi | null>): Promise<Author | null> {
  const { app, apiUrl } = config.github;
  if (!app) return null;
  const key = JSON.stringify([apiUrl, app.id]);
  const before = known.get(key);
  if (before) return before;
  try {
    const { slug } = await askGitHub(apiUrl, await appToken(app, Date.now()), {
      method: 'GET',
      path: '/app',
      what: 'learn the name of the App',
      answer: z.object({ slug: z.string() }),
    });
    const asked = await api();
    if (!asked) return null;
    const name = `${slug}[bot]`;
    const { id } = await asked.ask({
      method: 'GET',
      path: `/users/${encodeURIComponent(name)}`,
      what: 'learn the account of the App',
      answer: z.object({ id: z.number() }),
    });
    const host = new URL(apiUrl).hostname === 'api.github.com' ? 'github.com' : new URL(apiUrl).hostname;
    const author = { name, email: `${id}+${name}@users.noreply.${host}` };
    known.set(key, author);
    return author;
  } catch (error) {
    log('github.app_author.unknown', { error: asError(error) });
    return null;
  }
}
