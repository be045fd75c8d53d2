/** What `npm run repositories` says of itself. */

/** The command was called in a way that means nothing. The message is one line that says what to do. */
export class UsageProblem extends Error {
  override readonly name = 'UsageProblem';
}

export const HELP = `npm run repositories -- COMMAND [options]

Tells a deployment of Cyrus which repositories it works in, and who may give it work there.

Commands
  list                        the repositories of a workspace
  show OWNER/NAME             one of them, with all its settings
  add OWNER/NAME              adds one; needs --clone-url
  set OWNER/NAME              changes what is given, and keeps the rest
  remove OWNER/NAME           removes it; sessions that are at work there end on their own
  sandbox OWNER/NAME          where its sandboxes run: --endpoint URL, a sandbox server with its secret, or --container
  mcp list OWNER/NAME         its MCP servers
  mcp add OWNER/NAME SERVER   adds or replaces one; see below
  mcp remove OWNER/NAME SERVER
  workspaces                  the workspaces that installed Cyrus
  workspace                   who may give work in the whole workspace, and what else is known of it
  workspace set               changes that: --allow-user, --block-user, --allow-team, --block-team

Which deployment
  --url URL                   or CYRUS_URL; without either: the one that \`npm start\` runs here
  ADMIN_TOKEN                 an environment variable; asked for where it is not set. Never an option: others
                              can read the options of a process
  --workspace ID              Linear's id, URL key or name; needed only where there are several
  --json                      the API's answer, for programs

Repository
  --clone-url URL             https://…/owner/name.git
  --base-branch NAME          main if nothing is said
  --credential KIND           basic (with --username, x-access-token if nothing is said), github-token, github-app or none
  --username NAME
  --secret-stdin              read the credential's secret from standard input; otherwise from CYRUS_GIT_SECRET, or it is
                              asked for. A sandbox server's: the same way, with CYRUS_SANDBOX_SECRET

Which issues go there (repeat an option for several; it replaces the list that was there, --no-… empties it)
  --label NAME  --project NAME  --team KEY
  --default, --no-default     takes what no other rule sends elsewhere

Who may give work (emails or Linear ids; automation: no person; outside: no member of the workspace)
  --allow-user WHO  --block-user WHO  --allow-team KEY  --block-team KEY

How Claude works
  --tools CHOICE              readOnly, safe, all, or names: Read,Grep,Edit
  --base-branches PATTERN     branches that people may have work start from, besides the base branch
  --model NAME                opus, sonnet, haiku or a full name
  --verbosity HOW             quiet, normal or verbose
  --role-label ROLE=LABEL     a label that gives a role, besides the usual ones
  --instructions TEXT         or --instructions-file FILE; for every role
  --role-instructions ROLE=TEXT

MCP servers (a repository's own files name none)
  --http URL                  streamable HTTP, reached through the gateway, which adds the credential
  --bearer, --header NAME     what the credential goes into; its secret from CYRUS_MCP_SECRET, --secret-stdin, or asked for.
                              Without either the one that is stored is kept; --no-header forgets it
  --linear                    Linear's own, with the rights of the app
  --command PROGRAM           runs in the sandbox; --arg=ARG and --env NAME=VALUE (no secret: Claude can read it), repeated
  --tool NAME                 only these tools, repeated; a * at the end stands for the rest (get_*)
  --looking-tool NAME         these change nothing: never asked for, and had also by roles that only look

Everything else, and all of it
  --setting NAME=VALUE        any setting by its name, e.g. pullRequest.mode=draft; null sets it back
  --settings FILE             a JSON object of settings; options win over it
`;
