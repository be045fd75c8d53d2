/** What is known of the issue now: every webhook that shows it brings news, and the newest counts (pure). */
import { cutWhole } from '../../protocol/text/sendable-text.ts';
import type { Issue, SessionState } from './model/state.ts';

/** What a webhook or Linear's API shows of an issue; what is left out stays as it is. `at`: when, in ms since the epoch. */
export interface IssueNews extends Partial<Omit<Issue, 'id'>> {
  id: string;
  at: number;
}

/** Why work is withdrawn. `no-access`: Cyrus was taken out of the issue's team. */
export type Withdrawal = 'unassigned' | 'completed' | 'canceled' | 'removed' | 'archived' | 'no-access' | 'uninstalled';

/** Longest of each that is kept, in UTF-16 code units. Linear itself allows less; what is told of an issue is in every list. */
const MOST = { identifier: 100, title: 1_000, url: 2_000, name: 200 };
const MOST_LABELS = 100;

function bounded(news: IssueNews): IssueNews {
  const { identifier, title, url, team, labels } = news;
  return {
    ...news,
    ...(identifier !== undefined && { identifier: cutWhole(identifier, MOST.identifier) }),
    ...(title !== undefined && { title: cutWhole(title, MOST.title) }),
    // An address that was cut would lead elsewhere.
    ...(url !== undefined && { url: url.length > MOST.url ? '' : url }),
    ...(team && { team: { ...team, key: cutWhole(team.key, MOST.name), name: cutWhole(team.name, MOST.name) } }),
    ...(labels && { labels: labels.slice(0, MOST_LABELS).map((label) => cutWhole(label, MOST.name)) }),
  };
}

/** A session's first idea of its issue, before anything is known but what one webhook says. */
export function issueOf(news: IssueNews): Issue {
  const { at: _, ...known } = bounded(news);
  return { identifier: '', title: 'An issue in Linear', url: '', teamId: null, ...known };
}

/**
 * The state with the news in it. Access rules judge by the issue's team, so it is told there too.
 * @returns the same state where the news is older than what is known, about another issue, or says nothing new
 */
export function withNews(state: SessionState, news: IssueNews): SessionState {
  const { issue, access } = state;
  if (issue === null || issue.id !== news.id || news.at < (state.issueAt ?? 0)) return state;
  const { at, ...said } = bounded(news);
  // A team of which only the id came is the known one, where the id is the same.
  const team = said.team ?? (said.teamId === undefined || said.teamId === issue.teamId ? issue.team : null);
  const known: Issue = { ...issue, ...said, ...(team !== undefined && { team }) };
  if (JSON.stringify(known) === JSON.stringify(issue)) return state;
  return {
    ...state,
    issue: known,
    issueAt: at,
    ...(access && known.team && { access: { ...access, team: known.team } }),
  };
}
