/** How a session's commits are made: what its repository wants, and who asked for this turn. */

import { ownValue } from '../../../lib/own-value.ts';
import type { StartSession } from '../../../protocol/sandbox/start.ts';
import { DEFAULT_COMMIT_MESSAGE } from '../../../protocol/settings/commit-settings.ts';
import type { RepositorySettings, Role } from '../../../protocol/settings/repository.ts';
import { harmlessLine } from '../../../protocol/text/harmless-text.ts';
import { type Access, refusalOf } from '../../lifecycle/model/admission.ts';
import type { Person } from '../../lifecycle/model/directives.ts';
import { currentTurn } from '../../lifecycle/model/phases.ts';
import type { SessionState } from '../../lifecycle/model/state.ts';

/** The word of conventional commits for a role's work (conventionalcommits.org). */
export function typeOfWork(role: Role): 'fix' | 'feat' {
  return role === 'debugger' ? 'fix' : 'feat';
}

/**
 * What a start says of commits.
 * @param author of the session's commits
 */
export function commitConventions(
  state: SessionState,
  { commits }: RepositorySettings,
  { author, role, access }: { author: { name: string; email: string }; role: Role; access: Access },
): NonNullable<StartSession['commits']> {
  const { issue } = state;
  const asked = (currentTurn(state)?.prompts ?? []).flatMap(({ person }) =>
    person && refusalOf(access, person) === null ? [person] : [],
  );
  return {
    message: messageOf(commits.messageTemplate, state, role),
    trailers: [
      ...(commits.coAuthor ? coAuthors(asked, author.email) : []),
      ...(commits.signOff ? [`Signed-off-by: ${author.name} <${author.email}>`] : []),
    ],
    issue: issue?.identifier || null,
    hooks: commits.hooks,
  };
}

/** What Claude is told of commits, a sentence each; empty if nothing is set. */
export function commitWords({ commits }: RepositorySettings, state: SessionState, role: Role): string[] {
  const form = messageOf(commits.messageTemplate, state, role).split('\n')[0] ?? '';
  return [
    ...(commits.messageTemplate === DEFAULT_COMMIT_MESSAGE
      ? []
      : [
          `Commit messages follow a format here; one for all of your work would begin: ${form.replaceAll('{{branch}}', 'the branch')}`,
        ]),
    ...(commits.hooks
      ? [
          "The repository's commit hooks run with each of your commits: fix what they reject, and do not bypass them with --no-verify.",
        ]
      : ["The repository's commit hooks are off here; run their checks yourself if they matter."]),
  ];
}

/** The template filled in, but for `{{branch}}`, which the sandbox knows. */
function messageOf(template: string, { issue }: SessionState, role: Role): string {
  const identifier = issue?.identifier ?? '';
  const values: Record<string, string> = {
    identifier,
    title: harmlessLine(issue?.title ?? '', identifier || null),
    type: typeOfWork(role),
    url: issue?.url ?? '',
  };
  const filled = template.replace(/\{\{\s*(\w+)\s*\}\}/g, (whole, word: string) =>
    word === 'branch' ? '{{branch}}' : (ownValue(values, word) ?? whole),
  );
  return filled.replace(/\(\s*\)/g, '').trim() || DEFAULT_COMMIT_MESSAGE;
}

/** Git reads a name and an address; nothing else may be in such a line. */
function coAuthors(people: readonly Person[], own: string): string[] {
  const lines = people.flatMap(({ name, email, outside }) => {
    if (
      outside ||
      email === null ||
      email === own ||
      !/^[^\s<>@"]{1,64}@[^\s<>@"]{1,190}\.[^\s<>@".]{1,63}$/.test(email)
    )
      return [];
    const local = email.slice(0, email.indexOf('@'));
    const shown = harmlessLine(name ?? '')
      .replace(/[<>"\u2060]/g, '')
      .trim();
    return [`Co-authored-by: ${shown || local} <${email}>`];
  });
  return [...new Map(lines.map((line) => [line.slice(line.indexOf('<')), line])).values()];
}
