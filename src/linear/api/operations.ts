/** Every GraphQL document that Cyrus sends to Linear. A test validates each against the schema of the pinned @linear/sdk. */

/**
 * Everything that is posted to an agent session at once. GraphQL carries out the fields of a mutation one after the other
 * (spec.graphql.org, "Serial execution"), so activities keep their order.
 * @param activities how many; their inputs are the variables `a0`, `a1` …
 * @param hasChange whether the session itself is changed too, by the variables `id` and `change`
 */
export function postDocument(activities: number, hasChange: boolean): string {
  const names = Array.from({ length: activities }, (_, index) => `a${index}`);
  const variables = names.map((name) => `$${name}: AgentActivityCreateInput!`);
  const fields = names.map((name) => `${name}: agentActivityCreate(input: $${name}) { success }`);
  if (hasChange) {
    variables.push('$id: String!', '$change: AgentSessionUpdateInput!');
    fields.push('agentSessionUpdate(id: $id, input: $change) { success }');
  }
  return `mutation Post(${variables.join(', ')}) {\n  ${fields.join('\n  ')}\n}`;
}

/** The agent sessions on an issue, and who asks. */
export const ISSUE_THREADS = /* GraphQL */ `
  query IssueThreads($id: String!) {
    viewer { id }
    issue(id: $id) { agentSessions(first: 50) { nodes { id appUser { id } externalLinks { url } } } }
  }
`;

/** The agent session in the thread of a root comment, and who asks. */
export const COMMENT_THREAD = /* GraphQL */ `
  query CommentThread($id: String!) {
    viewer { id }
    comment(id: $id) { agentSession { id appUser { id } externalLinks { url } } }
  }
`;

export const OPEN_THREAD_ON_ISSUE = /* GraphQL */ `
  mutation OpenThreadOnIssue($input: AgentSessionCreateOnIssue!) {
    agentSessionCreateOnIssue(input: $input) { success agentSession { id } }
  }
`;

export const OPEN_THREAD_ON_COMMENT = /* GraphQL */ `
  mutation OpenThreadOnComment($input: AgentSessionCreateOnComment!) {
    agentSessionCreateOnComment(input: $input) { success agentSession { id } }
  }
`;

/** What a comment says and who wrote it. */
const COMMENT_FIELDS = /* GraphQL */ `
  id body createdAt
  user { id name email }
  externalUser { id name }
  botActor { id name userDisplayName }
`;

/** A comment and who wrote it. */
export const COMMENT_TEXT = /* GraphQL */ `
  query CommentText($id: String!) {
    comment(id: $id) { ${COMMENT_FIELDS} }
  }
`;

/** What an agent session was opened by: the comment, where it stands in another thread, else the end of its own thread. */
export const SESSION_SOURCE = /* GraphQL */ `
  query SessionSource($id: String!) {
    agentSession(id: $id) {
      createdAt
      sourceMetadata
      creator { id }
      sourceComment { ${COMMENT_FIELDS} }
      comment { ${COMMENT_FIELDS} children(first: 50) { nodes { ${COMMENT_FIELDS} } } }
    }
  }
`;

/** The issue that an agent session is on. */
export const SESSION_ISSUE = /* GraphQL */ `
  query SessionIssue($id: String!) {
    agentSession(id: $id) { issue { id } }
  }
`;

/** How an issue stands. */
export const ISSUE_NOW = /* GraphQL */ `
  query IssueNow($id: String!) {
    issue(id: $id) {
      id identifier title url archivedAt trashed
      state { type }
      team { id key name }
      labels(first: 50) { nodes { name } }
    }
  }
`;

const RELATED_FIELDS = 'identifier title url description state { name }';

/** What is around an issue: its parent, its sub-issues, and what it is related to in either direction. */
export const ISSUE_SURROUNDINGS = /* GraphQL */ `
  query IssueSurroundings($id: String!) {
    issue(id: $id) {
      parent { ${RELATED_FIELDS} }
      children(first: 30) { nodes { ${RELATED_FIELDS} } }
      relations(first: 30) { nodes { type relatedIssue { ${RELATED_FIELDS} } } }
      inverseRelations(first: 30) { nodes { type issue { ${RELATED_FIELDS} } } }
    }
  }
`;

/** What decides which repository an issue goes to and how Claude works on it. */
export const ISSUE_FACTS = /* GraphQL */ `
  query IssueFacts($id: String!) {
    issue(id: $id) {
      description branchName
      labels(first: 50) { nodes { name } }
      project { name }
      team { id key name }
    }
  }
`;

export const SUGGEST_REPOSITORIES = /* GraphQL */ `
  query SuggestRepositories($issueId: String!, $candidates: [CandidateRepository!]!) {
    issueRepositorySuggestions(issueId: $issueId, candidateRepositories: $candidates) {
      suggestions { repositoryFullName confidence }
    }
  }
`;

/** The issue's state and delegate, the started states of its team, and who asks. */
export const ISSUE_STATES = /* GraphQL */ `
  query IssueStates($id: String!) {
    viewer { id }
    issue(id: $id) {
      state { type }
      delegate { id }
      team { states(first: 50, filter: { type: { eq: "started" } }) { nodes { id position } } }
    }
  }
`;

export const UPDATE_ISSUE = /* GraphQL */ `
  mutation UpdateIssue($id: String!, $input: IssueUpdateInput!) {
    issueUpdate(id: $id, input: $input) { success }
  }
`;

/** The texts of an issue that may link files. */
export const ISSUE_TEXTS = /* GraphQL */ `
  query IssueTexts($id: String!) {
    issue(id: $id) {
      description
      comments(first: 100) { nodes { body } }
    }
  }
`;

/** Where to put a file, and how, so that it can be shown in Markdown. */
export const FILE_UPLOAD = /* GraphQL */ `
  mutation FileUpload($contentType: String!, $filename: String!, $size: Int!) {
    fileUpload(contentType: $contentType, filename: $filename, size: $size) {
      success
      uploadFile { uploadUrl assetUrl headers { key value } }
    }
  }
`;

/** Only for pull requests on a GitHub that the workspace has connected to Linear. */
export const ATTACH_PULL_REQUEST = /* GraphQL */ `
  mutation AttachPullRequest($issueId: String!, $url: String!, $title: String, $id: String) {
    attachmentLinkGitHubPR(issueId: $issueId, url: $url, title: $title, id: $id, linkKind: links) { success }
  }
`;

/** For every other address. */
export const ATTACH_URL = /* GraphQL */ `
  mutation AttachUrl($issueId: String!, $url: String!, $title: String, $id: String) {
    attachmentLinkURL(issueId: $issueId, url: $url, title: $title, id: $id) { success }
  }
`;

/** Who a token belongs to, and where. */
export const IDENTITY = /* GraphQL */ `
  query Identity {
    viewer { id name app organization { id name urlKey } }
  }
`;
