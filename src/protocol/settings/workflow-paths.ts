/** Which files decide what runs at a git host when a branch is pushed: those that CI services read, and those an admin names. */
import * as z from 'zod';

/** Entries of a repository's root that CI services read, in lower case. */
const NAMES = new Set([
  '.github',
  '.gitlab',
  '.gitlab-ci.yml',
  '.gitlab-ci.yaml',
  '.circleci',
  'circle.yml',
  '.azure-pipelines',
  '.azuredevops',
  '.pipelines',
  '.buildkite',
  '.buildkite.yml',
  '.travis.yml',
  '.travis.yaml',
  'bitbucket-pipelines.yml',
  '.forgejo',
  '.gitea',
  'appveyor.yml',
  '.appveyor.yml',
  '.appveyor',
  '.semaphore',
  '.teamcity',
  '.tekton',
  '.build.yml',
  '.builds',
  'buildspec.yml',
  'cloudbuild.yaml',
  'cloudbuild.yml',
  'codemagic.yaml',
  'wercker.yml',
]);
const BEGINNINGS = ['jenkinsfile', 'azure-pipelines', '.woodpecker', '.drone.', '.cirrus.'];

/** Whether a CI service may read this entry of a repository's root, whatever its case and kind. */
export function isWorkflowName(name: string): boolean {
  const lower = name.toLowerCase();
  return NAMES.has(lower) || BEGINNINGS.some((beginning) => lower.startsWith(beginning));
}

/**
 * A path that an admin names: `package.json`, `scripts/*.sh`, `scripts/ci/**`. `*` stands for anything within a name, `**` as the
 * last part for everything below; a folder without it is the same.
 */
export const workflowPathSchema = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .regex(/^[^\p{Cc}\\]+$/u, 'no control characters and no backslashes')
  .refine((path) => path.split('/').every((part) => part !== '' && part !== '.' && part !== '..'), {
    message: 'a path from the root of the repository, e.g. "scripts/ci/**", without leading slash',
  })
  .refine((path) => !path.split('/').slice(0, -1).includes('**') && path !== '**', {
    message: '** may only be the last part of a path, and not the only one',
  });

/** Whether a name fits one part of such a path; compared without case. Takes linear time for each `*`. */
export function fitsPart(name: string, part: string): boolean {
  const [first = '', ...others] = part.toLowerCase().split('*');
  const lower = name.toLowerCase();
  if (others.length === 0) return lower === first;
  const last = others.pop() ?? '';
  if (!lower.startsWith(first) || lower.length < first.length + last.length || !lower.endsWith(last)) return false;
  let at = first.length;
  const end = lower.length - last.length;
  for (const piece of others) {
    const found = lower.indexOf(piece, at);
    if (found < 0 || found + piece.length > end) return false;
    at = found + piece.length;
  }
  return true;
}
