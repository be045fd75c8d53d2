/**
 * A stand-in for Linear's MCP server (linear.app/docs/mcp): streamable HTTP, an application's token, and of its tools those by
 * which an issue is read and written. What is done is done as the user the token acts for.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { parseJson } from '../../src/lib/parse-json.ts';
import { updateIssue } from './agent/issues.ts';
import { LinearError } from './errors.ts';
import { readBody, sendJson, sendText } from './http.ts';
import type { Simulation } from './simulation.ts';
import type { Issue, User } from './state/model.ts';

const LARGEST_BODY_BYTES = 4 * 1024 * 1024;

const messageSchema = z.object({
  jsonrpc: z.literal('2.0'),
  id: z.union([z.string(), z.number()]).optional(),
  method: z.string(),
  params: z.looseObject({}).default({}),
});
const callSchema = z.object({ name: z.string(), arguments: z.looseObject({}).default({}) });

/** What a tool was given is not what it takes, or what it is about does not exist. The message is for Claude. */
class ToolProblem extends Error {
  override readonly name = 'ToolProblem';
}

interface Tool {
  description: string;
  schema: z.ZodObject;
  run: (simulation: Simulation, input: unknown, user: User) => unknown;
}

/** A tool with its input checked. */
function tool<Shape extends z.ZodRawShape>(
  description: string,
  shape: Shape,
  run: (simulation: Simulation, input: z.infer<z.ZodObject<Shape>>, user: User) => unknown,
): Tool {
  const schema = z.object(shape);
  return {
    description,
    schema,
    run: (simulation, input, user) => {
      const parsed = schema.safeParse(input);
      if (!parsed.success) throw new ToolProblem(z.prettifyError(parsed.error));
      return run(simulation, parsed.data, user);
    },
  };
}

const TOOLS: ReadonlyMap<string, Tool> = new Map([
  [
    'get_issue',
    tool('Retrieve an issue by id or identifier', { id: z.string() }, (simulation, { id }) =>
      describe(simulation, find(simulation, id)),
    ),
  ],
  [
    'list_issues',
    tool('List issues, the newest first', { query: z.string().optional() }, (simulation, { query = '' }) =>
      [...simulation.world.issues.values()]
        .filter(({ title, trashed }) => !trashed && title.toLowerCase().includes(query.toLowerCase()))
        .sort((one, other) => other.createdAt - one.createdAt)
        .slice(0, 50)
        .map((issue) => describe(simulation, issue)),
    ),
  ],
  [
    'list_comments',
    tool('List the comments of an issue', { issueId: z.string() }, (simulation, { issueId }) => {
      const { world } = simulation;
      return world.commentsOf(find(simulation, issueId).id).map(({ id, body, userId, parentId, createdAt }) => {
        const author = userId === null ? null : (world.users.get(userId)?.name ?? null);
        return { id, body, author, parentId, createdAt: new Date(createdAt).toISOString() };
      });
    }),
  ],
  [
    'create_comment',
    tool(
      'Create a comment on an issue',
      { issueId: z.string(), body: z.string().trim().min(1), parentId: z.string().optional() },
      (simulation, { issueId, body, parentId = null }, user) => {
        const { world, clock } = simulation;
        const issue = find(simulation, issueId);
        if (parentId !== null && world.comments.get(parentId)?.issueId !== issue.id) {
          throw new ToolProblem(`there is no comment ${parentId} on ${world.identifier(issue)}`);
        }
        const id = randomUUID();
        const about = { issueId: issue.id, documentId: null, parentId, userId: user.id };
        world.addComment({ id, ...about, body, createdAt: clock.now() });
        world.changed(issue.id);
        return { id, body, issueId: world.identifier(issue) };
      },
    ),
  ],
  [
    'update_issue',
    tool(
      'Update an issue',
      {
        id: z.string(),
        title: z.string().min(1).optional(),
        description: z.string().optional(),
        /** Name or type of a state of the team. */
        state: z.string().optional(),
      },
      (simulation, { id, state, ...changes }) => {
        const issue = find(simulation, id);
        const stateId = state === undefined ? undefined : stateOf(simulation, issue, state);
        updateIssue(simulation, issue.id, { ...changes, ...(stateId !== undefined && { stateId }) });
        return describe(simulation, issue);
      },
    ),
  ],
]);

export class McpEndpoint {
  readonly #simulation: Simulation;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  /** Answers a request whose token was looked at already. @param user whom it acts for */
  async handle(request: IncomingMessage, response: ServerResponse, user: User): Promise<void> {
    if (request.method !== 'POST') return sendText(response, 405, 'ask by POST');
    const parsed = messageSchema.safeParse(parseJson((await readBody(request, LARGEST_BODY_BYTES)).toString()));
    if (!parsed.success) {
      return sendJson(response, 400, { jsonrpc: '2.0', id: null, error: { code: -32600, message: 'no request' } });
    }
    const { id, method, params } = parsed.data;
    if (id === undefined) {
      response.writeHead(202).end();
      return;
    }
    const answer = JSON.stringify({ jsonrpc: '2.0', id, ...this.#answer(method, params, user) });
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    response.end(`event: message\ndata: ${answer}\n\n`);
  }

  #answer(method: string, params: Record<string, unknown>, user: User): object {
    switch (method) {
      case 'initialize': {
        const { protocolVersion = '2025-06-18' } = params;
        const serverInfo = { name: 'Linear (simulated)', version: '1.0.0' };
        return { result: { protocolVersion, capabilities: { tools: {} }, serverInfo } };
      }
      case 'ping':
        return { result: {} };
      case 'tools/list':
        return {
          result: {
            tools: [...TOOLS].map(([name, { description, schema }]) => {
              return { name, description, inputSchema: z.toJSONSchema(schema) };
            }),
          },
        };
      case 'tools/call':
        return this.#call(params, user);
      default:
        return { error: { code: -32601, message: `there is no method ${method}` } };
    }
  }

  #call(params: unknown, user: User): object {
    const call = callSchema.safeParse(params);
    const known = call.success ? TOOLS.get(call.data.name) : undefined;
    if (!call.success || !known) return { error: { code: -32602, message: 'there is no such tool' } };
    try {
      const result = known.run(this.#simulation, call.data.arguments, user);
      return { result: { content: [{ type: 'text', text: JSON.stringify(result) }] } };
    } catch (error) {
      if (!(error instanceof ToolProblem || error instanceof LinearError)) throw error;
      return { result: { content: [{ type: 'text', text: error.message }], isError: true } };
    }
  }
}

function find({ world }: Simulation, reference: string): Issue {
  const issue = world.findIssue(reference);
  if (!issue) throw new ToolProblem(`there is no issue ${reference}`);
  return issue;
}

function stateOf({ world }: Simulation, issue: Issue, wanted: string): string {
  const { states } = world.teamOf(issue);
  const name = wanted.toLowerCase();
  const state = states.find((one) => one.name.toLowerCase() === name) ?? states.find((one) => one.type === name);
  if (!state)
    throw new ToolProblem(`there is no state ${wanted}; there is ${states.map((one) => one.name).join(', ')}`);
  return state.id;
}

function describe({ world, urls }: Simulation, issue: Issue): object {
  return {
    id: issue.id,
    identifier: world.identifier(issue),
    title: issue.title,
    description: issue.description,
    url: urls.issue(issue),
    status: world.stateOf(issue).name,
    team: world.teamOf(issue).name,
    labels: world.labelsOf(issue).map(({ name }) => name),
    createdAt: new Date(issue.createdAt).toISOString(),
    updatedAt: new Date(issue.updatedAt).toISOString(),
  };
}
