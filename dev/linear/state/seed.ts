/** The workspaces a new simulator starts with, each with one team, one person, an agent, and one issue worth solving. */
import { randomUUID } from 'node:crypto';
import type { Issue, Label, Team, Workspace } from './model.ts';
import type { WorldData } from './world.ts';

/**
 * The workspace and its app user keep their ids across restarts, so that what Cyrus stored about them stays right even
 * when the simulator's state was thrown away. Issues do not: each is a new one.
 */
export const DEFAULT_WORKSPACE = {
  id: '7c1d6a52-93b4-4f0e-8a57-2f1c9be3d401',
  name: 'Example Workspace',
  urlKey: 'example',
};
export const DEFAULT_APP_USER_ID = 'b2f4e8d6-5a1c-4d3b-9e70-64c8a1f7d502';
const PERSON = { id: '3e9a7b10-c84d-4b62-a1f5-0d7e62c9b403', name: 'Ada Example', displayName: 'ada' };
/** Signs in as somebody else than the person at the page: a member, no admin. */
const MEMBER = { id: '8a1f5c20-6b3d-4e97-92c4-5f0b7d1e3a06', name: 'Ben Example', displayName: 'ben' };
const TEAM_ID = 'f05b2c91-7de3-4a86-b94a-c3158e0da704';

/** Beside the first: nothing is installed there. Its team has the same key, so that the same identifiers exist twice. */
export const SECOND_WORKSPACE = {
  id: '9f8e7d6c-5b4a-4392-8170-6f5e4d3c2b1a',
  name: 'Second Workspace',
  urlKey: 'second',
};
const SECOND_APP_USER_ID = 'c7d8e9fa-0b1c-4d2e-8f30-41526374859a';
const SECOND_PERSON = { id: '5d6e7f80-91a2-4b3c-8d4e-5f60718293a4', name: 'Grace Example', displayName: 'grace' };

const SECOND_MEMBER = { id: '6c9b2d41-0e7f-4a58-b3d6-1a2c4e6f8b07', name: 'Hedy Example', displayName: 'hedy' };

const STATES = [
  ['1b6e0d3c-42a7-4c95-8f31-7a90c5d2e805', 'Backlog', 'backlog', 0, '#bec2c8'],
  ['2d8f1a4e-53b8-4da6-9042-8ba1d6e3f906', 'Todo', 'unstarted', 1, '#e2e2e2'],
  ['4fa13c60-75da-4fc8-a264-adc3f805bb08', 'In Progress', 'started', 2, '#f2c94c'],
  ['5ab24d71-86eb-40d9-b375-bed40916cc09', 'In Review', 'started', 3, '#0f783c'],
  ['6bc35e82-97fc-41ea-8486-cfe51a27dd10', 'Done', 'completed', 4, '#5e6ad2'],
  ['7cd46f93-a80d-42fb-9597-d0f62b38ee11', 'Canceled', 'canceled', 5, '#95a2b3'],
  ['8de570a4-b91e-430c-a6a8-e1073c49ff12', 'Duplicate', 'duplicate', 6, '#95a2b3'],
] as const;

const DESCRIPTION = `Putting two of the same item into the cart charges for one.

The test in the sample repository shows it: \`npm test\` fails.

- The total must be the sum of price times quantity.
- Items without a quantity count as one.`;

/**
 * A fresh workspace.
 * @param now epoch milliseconds
 */
export function seed(now: number, workspace: Omit<Workspace, 'createdAt'>, appUserId: string): WorldData {
  const team = firstTeam(now);
  const issue = newIssue(team, now, {
    title: 'The cart total ignores quantities',
    description: DESCRIPTION,
    creatorId: PERSON.id,
  });
  return workspaceOf(now, workspace, appUserId, [PERSON, MEMBER], team, [issue]);
}

/** The workspace beside the first. */
export function seedSecond(now: number): WorldData {
  const team = newTeam('ENG', 'Engineering', now);
  const title = 'Prices are shown without a currency';
  const issue = newIssue(team, now, { title, description: null, creatorId: SECOND_PERSON.id });
  return workspaceOf(now, SECOND_WORKSPACE, SECOND_APP_USER_ID, [SECOND_PERSON, SECOND_MEMBER], team, [issue]);
}

/** One more workspace, empty but for a team ENG. */
export function newWorkspace(now: number, name: string, urlKey: string): WorldData {
  const person = { id: randomUUID(), name: 'Alan Example', displayName: 'alan' };
  const team = newTeam('ENG', 'Engineering', now);
  return workspaceOf(now, { id: randomUUID(), name, urlKey }, randomUUID(), [person], team, []);
}

function firstTeam(now: number): Team {
  return {
    id: TEAM_ID,
    key: 'ENG',
    name: 'Engineering',
    createdAt: now,
    states: STATES.map(([id, name, type, position, color]) => ({ id, name, type, position, color })),
    labels: [newLabel('Bug', '#eb5757'), newLabel('Feature', '#bb87fc'), newLabel('Improvement', '#4ea7fc')],
    lastIssueNumber: 0,
    parentId: null,
    visibility: 'public',
    memberIds: null,
  };
}

function workspaceOf(
  now: number,
  workspace: Omit<Workspace, 'createdAt'>,
  appUserId: string,
  people: { id: string; name: string; displayName: string }[],
  team: Team,
  issues: Issue[],
): WorldData {
  const agent = { id: appUserId, name: 'Cyrus', displayName: 'cyrus', email: `${appUserId}@oauthapp.linear.app` };
  return {
    workspace: { ...workspace, createdAt: now },
    users: [
      ...people.map((person, index) => ({
        ...person,
        email: `${person.displayName}@example.com`,
        app: false,
        admin: index === 0,
        guest: false,
        active: true,
        createdAt: now,
      })),
      { ...agent, app: true, admin: false, guest: false, active: true, createdAt: now },
    ],
    teams: [team],
    projects: [],
    documents: [],
    issues,
    relations: [],
    comments: [],
    sessions: [],
    attachments: [],
    guidance: [],
  };
}

/**
 * A further team, with the same workflow under ids of its own.
 * @param memberIds of a private team; null: it is public
 */
export function newTeam(
  key: string,
  name: string,
  now: number,
  parentId: string | null = null,
  memberIds: string[] | null = null,
): Team {
  const states = STATES.map(([, stateName, type, position, color]) => {
    return { id: randomUUID(), name: stateName, type, position, color };
  });
  const visibility = memberIds === null ? ('public' as const) : ('private' as const);
  const own = { id: randomUUID(), key, name, createdAt: now, states, labels: [], lastIssueNumber: 0 };
  return { ...own, parentId, visibility, memberIds };
}

export function newLabel(name: string, color = '#6e7781'): Label {
  return { id: randomUUID(), name, color };
}

/** An issue in the team's first unstarted state; takes the team's next number. */
export function newIssue(
  team: Team,
  now: number,
  values: {
    title: string;
    description: string | null;
    creatorId: string | null;
    labelIds?: string[];
    projectId?: string | null;
    parentId?: string | null;
  },
): Issue {
  const state = team.states.find((candidate) => candidate.type === 'unstarted');
  if (!state) throw new Error(`team ${team.key} has no unstarted state`);
  team.lastIssueNumber += 1;
  return {
    id: randomUUID(),
    teamId: team.id,
    number: team.lastIssueNumber,
    title: values.title,
    description: values.description,
    stateId: state.id,
    delegateId: null,
    assigneeId: null,
    creatorId: values.creatorId,
    labelIds: values.labelIds ?? [],
    projectId: values.projectId ?? null,
    parentId: values.parentId ?? null,
    trashed: false,
    archivedAt: null,
    createdAt: now,
    updatedAt: now,
    startedAt: null,
    completedAt: null,
    canceledAt: null,
  };
}
