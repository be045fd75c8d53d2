/** The workspace that a route is about. */
import type { Resource } from '../../people/rights.ts';
import type { ApiError } from '../../protocol/api.ts';
import type { PeopleContext } from '../middleware/needs.ts';

export const NO_SUCH_WORKSPACE: ApiError = {
  error: 'no_such_workspace',
  message: 'There is no such workspace, or you are no member of it.',
};

/** That of the parameter `:workspace`, for the guard. */
export function workspaceOf(c: PeopleContext): Resource {
  return { kind: 'workspace', workspaceId: c.req.param('workspace') ?? '' };
}
