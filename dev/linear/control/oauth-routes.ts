/** The control API of OAuth and of the workspaces, under /control/oauth. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import type { Workspaces } from '../workspaces.ts';
import type { OauthControl } from './oauth-control.ts';
import { answerControl, type Route } from './routing.ts';

const approveSchema = z.strictObject({
  url: z.url(),
  workspace: z.string().optional(),
  decision: z.enum(['allow', 'deny']).optional(),
});
const creationSchema = z.strictObject({ manifest: z.unknown(), workspace: z.string().optional() });
const filterSchema = z.strictObject({ clientId: z.string().optional(), workspaceId: z.string().optional() });
const workspaceSchema = z.strictObject({ name: z.string().min(1), urlKey: z.string().regex(/^[a-z][a-z0-9-]*$/) });

export class OauthRoutes {
  readonly #routes: Route[];

  constructor(control: OauthControl, workspaces: Workspaces) {
    this.#routes = [
      ['GET', /^\/control\/oauth\/applications$/, () => control.applications()],
      [
        'POST',
        /^\/control\/oauth\/applications$/,
        ({ body }) => {
          const { manifest, workspace } = creationSchema.parse(body);
          return control.createApplication(manifest, workspace);
        },
      ],
      [
        'POST',
        /^\/control\/oauth\/approve$/,
        ({ body }) => {
          const { url, workspace, decision } = approveSchema.parse(body);
          const choice = { ...(workspace !== undefined && { workspace }), ...(decision !== undefined && { decision }) };
          return { location: control.approve(url, choice) };
        },
      ],
      ['GET', /^\/control\/oauth\/tokens$/, ({ query }) => control.tokens(filterSchema.parse(query))],
      [
        'POST',
        /^\/control\/oauth\/tokens\/expire$/,
        ({ body }) => ({ expired: control.expireAccessTokens(filterSchema.parse(body)) }),
      ],
      [
        'POST',
        /^\/control\/oauth\/tokens\/revoke$/,
        ({ body }) => ({ revoked: control.revokeTokens(filterSchema.parse(body)) }),
      ],
      ['GET', /^\/control\/oauth\/workspaces$/, () => workspaces.summaries()],
      [
        'POST',
        /^\/control\/oauth\/workspaces$/,
        ({ body }) => {
          const { name, urlKey } = workspaceSchema.parse(body);
          return workspaces.create(name, urlKey).summary();
        },
      ],
    ];
  }

  handle(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    return answerControl(this.#routes, request, response, url);
  }
}
