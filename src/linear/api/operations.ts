/** Every GraphQL operation that Cyrus sends to Linear. A test validates each against the schema of the pinned @linear/sdk. */
import type { LinearDocument } from '@linear/sdk';
import * as z from 'zod';
import { issueSurroundingsSchema } from '../issue-surroundings.ts';
import { commentAnswerSchema, sessionSourceAnswerSchema } from '../webhooks/session-source.ts';
import { mutation, query } from './operation.ts';

/** Of an operation whose answer says nothing but that it is done; `null` if an earlier try did it. */
const doneSchema = z.unknown();
const idSchema = z.object({ id: z.string() });
const namesSchema = z.object({ nodes: z.array(z.object({ name: z.string() })) });

/**
 * Everything that is posted to an agent session at once. GraphQL carries out the fields of a mutation one after the other
 * (spec.graphql.org, "Serial execution"), so activities keep their order.
 * @param activities how many; their inputs are the variables `a0`, `a1` …
 * @param hasChange whether the session itself is changed too, by the variables `id` and `change`
 */
export function postOperation(activities: number, hasChange: boolean) {
  const names = Array.from({ length: activities }, (_, index) => `a${index}`);
  const variables = names.map((name) => `$${name}: AgentActivityCreateInput!`);
  const fields = names.map((name) => `${name}: agentActivityCreate(input: $${name}) { success }`);
  if (hasChange) {
    variables.push('$id: String!', '$change: AgentSessionUpdateInput!');
    fields.push('agentSessionUpdate(id: $id, input: $change) { success }');
  }
  const document = `mutation Post(${variables.join(', ')}) {\n  ${fields.join('\n  ')}\n}`;
  return mutation<PostVariables>()(document, doneSchema);
}

/** `id` and `change` of the session, where it is changed; the activities under `a0`, `a1` … */
type PostVariables = {
  id?: string;
  change?: LinearDocument.AgentSessionUpdateInput;
  [activity: `a${number}`]: LinearDocument.AgentActivityCreateInput;
};

const threadSchema = z.object({
  id: z.string(),
  appUser: idSchema.nullish(),
  externalLinks: z.array(z.object({ url: z.string() })),
});
export type LinearThread = z.infer<typeof threadSchema>;

/** The agent sessions on an issue, and who asks. */
export const ISSUE_THREADS = query<LinearDocument.QueryIssueArgs>()(
  /* GraphQL */ `
    query IssueThreads($id: String!) {
      viewer { id }
      issue(id: $id) { agentSessions(first: 50) { nodes { id appUser { id } externalLinks { url } } } }
    }
  `,
  z.object({
    viewer: idSchema,
    issue: z.object({ agentSessions: z.object({ nodes: z.array(threadSchema) }) }),
  }),
);

/** The agent session in the thread of a root comment, and who asks. */
export const COMMENT_THREAD = query<LinearDocument.QueryCommentArgs>()(
  /* GraphQL */ `
    query CommentThread($id: String!) {
      viewer { id }
      comment(id: $id) { agentSession { id appUser { id } externalLinks { url } } }
    }
  `,
  z.object({ viewer: idSchema, comment: z.object({ agentSession: threadSchema.nullish() }) }),
);

const openedSchema = z.object({ success: z.boolean(), agentSession: idSchema });

export const OPEN_THREAD_ON_ISSUE = mutation<LinearDocument.MutationAgentSessionCreateOnIssueArgs>()(
  /* GraphQL */ `
    mutation OpenThreadOnIssue($input: AgentSessionCreateOnIssue!) {
      agentSessionCreateOnIssue(input: $input) { success agentSession { id } }
    }
  `,
  z.object({ agentSessionCreateOnIssue: openedSchema }),
);

export const OPEN_THREAD_ON_COMMENT = mutation<LinearDocument.MutationAgentSessionCreateOnCommentArgs>()(
  /* GraphQL */ `
    mutation OpenThreadOnComment($input: AgentSessionCreateOnComment!) {
      agentSessionCreateOnComment(input: $input) { success agentSession { id } }
    }
  `,
  z.object({ agentSessionCreateOnComment: openedSchema }),
);

/** What a comment says and who wrote it. */
const COMMENT_FIELDS = /* GraphQL */ `
  id body createdAt
  user { id name email }
  externalUser { id name }
  botActor { id name userDisplayName }
`;

/** A comment and who wrote it. */
export const COMMENT_TEXT = query<LinearDocument.QueryCommentArgs>()(
  /* GraphQL */ `
    query CommentText($id: String!) {
      comment(id: $id) { ${COMMENT_FIELDS} }
    }
  `,
  commentAnswerSchema,
);

/** What an agent session was opened by: the comment, if it is in another thread, else the end of its own thread. */
export const SESSION_SOURCE = query<LinearDocument.QueryAgentSessionArgs>()(
  /* GraphQL */ `
    query SessionSource($id: String!) {
      agentSession(id: $id) {
        createdAt
        sourceMetadata
        creator { id }
        sourceComment { ${COMMENT_FIELDS} }
        comment { ${COMMENT_FIELDS} children(first: 50) { nodes { ${COMMENT_FIELDS} } } }
      }
    }
  `,
  sessionSourceAnswerSchema,
);

/** The issue that an agent session is on. */
export const SESSION_ISSUE = query<LinearDocument.QueryAgentSessionArgs>()(
  /* GraphQL */ `
    query SessionIssue($id: String!) {
      agentSession(id: $id) { issue { id } }
    }
  `,
  z.object({ agentSession: z.object({ issue: idSchema.nullish() }) }),
);

/** What people said in an agent session since a moment, at most the first 20; the fields are those of a webhook. */
export const SESSION_PROMPTS = query<LinearDocument.QueryAgentSessionArgs & { since: string }>()(
  /* GraphQL */ `
    query SessionPrompts($id: String!, $since: DateTimeOrDuration!) {
      agentSession(id: $id) {
        activities(first: 20, filter: { type: { eq: "prompt" }, createdAt: { gte: $since } }) {
          nodes {
            id createdAt signal signalMetadata
            content { ... on AgentActivityPromptContent { body } }
            user { id name email }
          }
        }
      }
    }
  `,
  z.object({
    agentSession: z.object({
      activities: z.object({ nodes: z.array(z.looseObject({ id: z.string(), createdAt: z.string() })) }),
    }),
  }),
);

/** An issue as it is now. */
export const ISSUE_NOW = query<LinearDocument.QueryIssueArgs>()(
  /* GraphQL */ `
    query IssueNow($id: String!) {
      issue(id: $id) {
        id identifier title url archivedAt trashed
        state { type }
        team { id key name }
        labels(first: 50) { nodes { name } }
      }
    }
  `,
  z.object({
    issue: z.object({
      id: z.string(),
      identifier: z.string(),
      title: z.string(),
      url: z.string(),
      archivedAt: z.string().nullish(),
      trashed: z.boolean().nullish(),
      state: z.object({ type: z.string() }),
      team: z.object({ id: z.string(), key: z.string(), name: z.string() }),
      labels: namesSchema,
    }),
  }),
);

const RELATED_FIELDS = 'identifier title url description state { name }';

/** What is around an issue: its parent, its sub-issues, and what it is related to in either direction. */
export const ISSUE_SURROUNDINGS = query<LinearDocument.QueryIssueArgs>()(
  /* GraphQL */ `
    query IssueSurroundings($id: String!) {
      issue(id: $id) {
        parent { ${RELATED_FIELDS} }
        children(first: 30) { nodes { ${RELATED_FIELDS} } }
        relations(first: 30) { nodes { type relatedIssue { ${RELATED_FIELDS} } } }
        inverseRelations(first: 30) { nodes { type issue { ${RELATED_FIELDS} } } }
      }
    }
  `,
  issueSurroundingsSchema,
);

/** What decides which repository an issue goes to and how Claude works on it. */
export const ISSUE_FACTS = query<LinearDocument.QueryIssueArgs>()(
  /* GraphQL */ `
    query IssueFacts($id: String!) {
      issue(id: $id) {
        description branchName
        labels(first: 50) { nodes { name } }
        project { name }
        team { id key name }
      }
    }
  `,
  z.object({
    issue: z.object({
      description: z.string().nullish(),
      branchName: z.string().nullish(),
      labels: namesSchema,
      project: z.object({ name: z.string() }).nullish(),
      team: z.object({ id: z.string().optional(), key: z.string(), name: z.string() }).nullish(),
    }),
  }),
);

/** Linear's guess which of these repositories an issue is about. */
export const SUGGEST_REPOSITORIES = query<{
  issueId: string;
  candidates: LinearDocument.QueryIssueRepositorySuggestionsArgs['candidateRepositories'];
}>()(
  /* GraphQL */ `
    query SuggestRepositories($issueId: String!, $candidates: [CandidateRepository!]!) {
      issueRepositorySuggestions(issueId: $issueId, candidateRepositories: $candidates) {
        suggestions { repositoryFullName confidence }
      }
    }
  `,
  z.object({
    issueRepositorySuggestions: z.object({
      suggestions: z.array(z.object({ repositoryFullName: z.string(), confidence: z.number() })),
    }),
  }),
);

/** The issue's state and delegate, the started states of its team, and who asks. */
export const ISSUE_STATES = query<LinearDocument.QueryIssueArgs>()(
  /* GraphQL */ `
    query IssueStates($id: String!) {
      viewer { id }
      issue(id: $id) {
        state { type }
        delegate { id }
        team { states(first: 50, filter: { type: { eq: "started" } }) { nodes { id position } } }
      }
    }
  `,
  z.object({
    viewer: idSchema,
    issue: z.object({
      state: z.object({ type: z.string() }),
      delegate: idSchema.nullish(),
      team: z.object({ states: z.object({ nodes: z.array(z.object({ id: z.string(), position: z.number() })) }) }),
    }),
  }),
);

export const UPDATE_ISSUE = mutation<LinearDocument.MutationIssueUpdateArgs>()(
  /* GraphQL */ `
    mutation UpdateIssue($id: String!, $input: IssueUpdateInput!) {
      issueUpdate(id: $id, input: $input) { success }
    }
  `,
  doneSchema,
);

export const CREATE_ISSUE = mutation<LinearDocument.MutationIssueCreateArgs>()(
  /* GraphQL */ `
    mutation CreateIssue($input: IssueCreateInput!) {
      issueCreate(input: $input) { success }
    }
  `,
  doneSchema,
);

/** The teams that the app sees; of more than 250 those beyond are not seen. */
export const TEAMS = query<Record<string, never>>()(
  /* GraphQL */ `
    query Teams { teams(first: 250) { nodes { id key name } } }
  `,
  z.object({ teams: z.object({ nodes: z.array(z.object({ id: z.string(), key: z.string(), name: z.string() })) }) }),
);

/** The texts of an issue that may link files. */
export const ISSUE_TEXTS = query<LinearDocument.QueryIssueArgs>()(
  /* GraphQL */ `
    query IssueTexts($id: String!) {
      issue(id: $id) {
        description
        comments(first: 100) { nodes { body } }
      }
    }
  `,
  z.object({
    issue: z.object({
      description: z.string().nullish(),
      comments: z.object({ nodes: z.array(z.object({ body: z.string() })) }),
    }),
  }),
);

/** Where to put a file, and how, so that it can be shown in Markdown. */
export const FILE_UPLOAD = mutation<LinearDocument.MutationFileUploadArgs>()(
  /* GraphQL */ `
    mutation FileUpload($contentType: String!, $filename: String!, $size: Int!) {
      fileUpload(contentType: $contentType, filename: $filename, size: $size) {
        success
        uploadFile { uploadUrl assetUrl headers { key value } }
      }
    }
  `,
  z.object({
    fileUpload: z.object({
      uploadFile: z
        .object({
          uploadUrl: z.url(),
          assetUrl: z.url(),
          headers: z.array(z.object({ key: z.string(), value: z.string() })),
        })
        .nullish(),
    }),
  }),
);

/** Only for pull requests on a GitHub that the workspace has connected to Linear. */
export const ATTACH_PULL_REQUEST = mutation<LinearDocument.MutationAttachmentLinkGitHubPrArgs>()(
  /* GraphQL */ `
    mutation AttachPullRequest($issueId: String!, $url: String!, $title: String, $id: String) {
      attachmentLinkGitHubPR(issueId: $issueId, url: $url, title: $title, id: $id, linkKind: links) { success }
    }
  `,
  doneSchema,
);

/** For every other address. */
export const ATTACH_URL = mutation<LinearDocument.MutationAttachmentLinkUrlArgs>()(
  /* GraphQL */ `
    mutation AttachUrl($issueId: String!, $url: String!, $title: String, $id: String) {
      attachmentLinkURL(issueId: $issueId, url: $url, title: $title, id: $id) { success }
    }
  `,
  doneSchema,
);

/** Who a token belongs to, and where. */
export const IDENTITY = query<Record<string, never>>()(
  /* GraphQL */ `
    query Identity {
      viewer { id name app organization { id name urlKey } }
    }
  `,
  z.object({
    viewer: z.looseObject({
      id: z.string().min(1),
      app: z.boolean(),
      organization: z.looseObject({ id: z.string().min(1), name: z.string(), urlKey: z.string() }),
    }),
  }),
);
