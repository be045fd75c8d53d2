import { describe, expect, it } from 'vitest';
import { type Person, roleOf } from '../../src/people/person.ts';
import { mayDo } from '../../src/people/rights.ts';
import { whoseOf } from '../../src/session/lifecycle/session-row.ts';
import { readOnly, readOnlyView } from '../../src/session/viewers/read-only.ts';

const membership = { workspaceId: 'acme', userId: 'ada', isAdmin: true, isGuest: false, teamIds: ['eng'] };
const role = roleOf(membership, 'ada@acme.example', []);
const admin: Person = {
  ...{ kind: 'linear', key: 'linear-user:ada', name: 'Ada', email: 'ada@acme.example', isOwner: false, signInId: 's' },
  memberships: [{ ...membership, workspaceName: 'Acme', role }],
};
const issue = { id: 'i', identifier: 'ENG-1', title: 'Plans', url: 'https://linear.app/x', teamId: 'eng' };

function opened(stored: unknown) {
  const session = readOnly('id', stored, 'its state has version 99');
  const maySee = mayDo(admin, 'session.read', { kind: 'session', ...whoseOf(session.shown) });
  return { maySee, view: readOnlyView(session, 'Acme', false) };
}

describe('a session whose storage cannot be read', () => {
  it('is seen by those of its team as long as the team can be read, and without an issue by admins', () => {
    expect(opened({ workspaceId: 'acme', issue }).maySee).toBe(true);
    expect(opened({ workspaceId: 'acme', issue: { ...issue, teamId: 'secret' } }).maySee).toBe(false);
    expect(opened({ workspaceId: 'acme', issue: null }).maySee).toBe(true);
  });

  it.each([
    ['of another form', { id: 1 }],
    ['missing', undefined],
    ['without a team', { ...issue, teamId: undefined }],
  ])('is hidden from admins too if its issue is %s: it may be of a private team', (_, unreadable) => {
    expect(opened({ workspaceId: 'acme', issue: unreadable }).maySee).toBe(false);
  });

  it('shows no issue if none can be read', () => {
    expect(opened({ workspaceId: 'acme', issue: { id: 1 } }).view.issue).toBeNull();
    expect(opened({ workspaceId: 'acme', issue }).view.issue).toMatchObject({ identifier: 'ENG-1' });
  });
});
