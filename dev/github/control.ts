/** `/control` of the stand-in, for people and tests: what goes wrong, and what there is. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { parseJson } from '../../src/lib/parse-json.ts';
import { readBody, sendJson } from '../linear/http.ts';
import { type Faults, faultSchema } from './faults.ts';
import type { GitHubRequest } from './github.ts';
import type { Pulls } from './pulls.ts';
import { commitChecksSchema, type Ruleset, rulesetSchema } from './state.ts';
import type { Tokens } from './tokens.ts';

const MAX_BODY_BYTES = 1024 * 1024;

/** What is controlled. */
interface Controlled {
  pulls: Pulls;
  requests: () => readonly GitHubRequest[];
  faults: Faults;
  tokens: Tokens;
  setRulesets(fullName: string, ...rulesets: Ruleset[]): void;
  setChecks(checks: z.input<typeof commitChecksSchema>): void;
}

/** Answers requests below `/control`. @throws TooLargeError for a body of more than 1 MiB */
export function controlOf({
  pulls,
  requests,
  faults,
  tokens,
  setRulesets,
  setChecks,
}: Controlled): (request: IncomingMessage, response: ServerResponse, url: URL) => Promise<void> {
  return async (request, response, url) => {
    const what = `${request.method} ${url.pathname}`;
    if (what === 'GET /control/pulls') return sendJson(response, 200, { pulls: pulls.all() });
    if (what === 'GET /control/requests') return sendJson(response, 200, { requests: requests() });
    if (what === 'GET /control/faults') return sendJson(response, 200, { faults: [...faults.current] });
    if (what === 'PUT /control/faults') {
      const input = z
        .object({ faults: z.array(faultSchema) })
        .safeParse(parseJson((await readBody(request, MAX_BODY_BYTES)).toString('utf8')));
      if (!input.success) return sendJson(response, 400, { error: z.prettifyError(input.error) });
      faults.set(input.data.faults);
      return sendJson(response, 200, input.data);
    }
    if (what === 'PUT /control/rulesets') {
      const input = z
        .object({ repository: z.string(), rulesets: z.array(rulesetSchema) })
        .safeParse(parseJson((await readBody(request, MAX_BODY_BYTES)).toString('utf8')));
      if (!input.success) return sendJson(response, 400, { error: z.prettifyError(input.error) });
      setRulesets(input.data.repository, ...input.data.rulesets);
      return sendJson(response, 200, input.data);
    }
    if (what === 'PUT /control/checks') {
      const input = commitChecksSchema.safeParse(parseJson((await readBody(request, MAX_BODY_BYTES)).toString('utf8')));
      if (!input.success) return sendJson(response, 400, { error: z.prettifyError(input.error) });
      setChecks(input.data);
      return sendJson(response, 200, input.data);
    }
    if (what === 'POST /control/revoke') {
      tokens.revoke();
      return sendJson(response, 200, { revoked: 'every installation token' });
    }
    sendJson(response, 404, { error: `there is nothing at ${what}` });
  };
}
