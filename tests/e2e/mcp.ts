/** Linear's own MCP server, which an admin gave to the repository: Claude writes on the issue as the app, and that stirs nothing. */
import { SAMPLE_REPOSITORY } from '../../dev/git/sample-repository.ts';
import { LinearThread } from './linear-thread.ts';
import { holds, type Run, same, until } from './run.ts';
import type { Stage } from './stage.ts';

export async function mcp(run: Run, { stack }: Pick<Stage, 'stack'>): Promise<void> {
  const { linear, url, secrets } = stack;
  const path = `/api/admin/workspaces/${linear.workspace.id}/repositories/${SAMPLE_REPOSITORY}/mcp-servers/linear`;
  const ask = (method: string, body?: object) =>
    fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${secrets.adminToken}`, 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    });
  same("Linear's MCP server is set for the repository", (await ask('PUT', { kind: 'linear' })).status, 201);

  await run.promise(
    'Claude comments on its issue by Linear’s MCP server, as the app, and does not answer itself',
    async () => {
      const said = 'I wrote this by myself.';
      const { identifier } = linear.createIssue({ title: 'Say something on the issue' });
      const script = `[script: tool mcp__linear__create_comment {"issueId":"${identifier}","body":"${said}"}]`;
      linear.mention(identifier, script);
      const issue = new LinearThread(linear, identifier);
      const answer = await issue.closing();
      const text = 'body' in answer.content ? String(answer.content.body) : '';
      holds('The answer has what the tool gave', text.includes(said), said, answer.content);
      const comment = await until('the comment', () =>
        linear.thread(identifier).comments.find(({ body }) => body === said),
      );
      holds('It is by the app', JSON.stringify(comment).includes('Cyrus'), 'Cyrus', comment);
      const action = issue.shown.find((line) => line.includes('create_comment (linear)'));
      holds('The thread tells the call', action !== undefined, 'create_comment (linear)', issue.shown);
      same('Threads of the issue', linear.thread(identifier).sessions.length, 1);
      same('Closing answers', issue.shown.filter((line) => line.startsWith('response')).length, 1);
    },
  );
  same('It is taken from the repository again', (await ask('DELETE')).status, 204);
}
