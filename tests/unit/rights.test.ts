import { describe, expect, it } from 'vitest';
import { installer, type Membership, nameless, type Person, roleOf } from '../../src/people/person.ts';
import { type Action, DEPLOYMENT, mayDo, maySee, type Resource } from '../../src/people/rights.ts';

function person(membership: Partial<Membership> = {}, more: Partial<Person> = {}): Person {
  const own: Membership = {
    ...{ workspaceId: 'acme', workspaceName: 'Acme', userId: 'ada', isAdmin: false, isGuest: false, role: 'member' },
    teamIds: ['eng'],
    ...membership,
  };
  return {
    ...{ kind: 'linear', key: 'linear-user:ada', name: 'Ada', email: 'ada@acme.example', isOwner: false },
    memberships: [own],
    signInId: 'sign-in',
    ...more,
  };
}

const inTeam = (id: string, workspaceId = 'acme'): Resource => ({ kind: 'session', workspaceId, team: { id } });
const acme: Resource = { kind: 'workspace', workspaceId: 'acme' };
const globex: Resource = { kind: 'workspace', workspaceId: 'globex' };

describe('what people may do', () => {
  it('nobody may do anything who is not signed in', () => {
    for (const action of ['page.open', 'session.read', 'deployment.install'] as Action[]) {
      for (const resource of [DEPLOYMENT, acme, inTeam('eng')]) expect(mayDo(null, action, resource)).toBe(false);
    }
  });

  it('a session is seen by those who see its team in Linear, and by nobody of another workspace', () => {
    expect(mayDo(person(), 'session.read', inTeam('eng'))).toBe(true);
    expect(mayDo(person(), 'session.read', inTeam('secret'))).toBe(false);
    expect(mayDo(person(), 'session.read', inTeam('eng', 'globex'))).toBe(false);
    expect(maySee(person(), inTeam('secret'))).toBe(false);
  });

  it('an admin of the workspace sees a private team only as its member, and no other workspace', () => {
    const admin = person({ role: 'admin', isAdmin: true });
    expect(mayDo(admin, 'session.read', inTeam('secret'))).toBe(false);
    expect(mayDo(admin, 'workspace.audit', acme)).toBe(true);
    expect(mayDo(admin, 'workspace.audit', globex)).toBe(false);
    expect(mayDo(admin, 'deployment.audit', DEPLOYMENT)).toBe(false);
  });

  it('a session of which the team is not known is shown to nobody but an owner, one without an issue to admins too', () => {
    const unknown: Resource = { kind: 'session', workspaceId: 'acme', team: 'unknown' };
    const none: Resource = { kind: 'session', workspaceId: 'acme', team: 'none' };
    const admin = person({ role: 'admin' });
    expect([person(), admin].map((one) => mayDo(one, 'session.read', unknown))).toEqual([false, false]);
    expect([person(), admin].map((one) => mayDo(one, 'session.read', none))).toEqual([false, true]);
    expect(mayDo(person({}, { isOwner: true }), 'session.read', unknown)).toBe(true);
  });

  it('a viewer looks on, a member works, an admin installs', () => {
    const [viewer, member, admin] = [person({ role: 'viewer' }), person(), person({ role: 'admin' })];
    const may = (action: Action, resource: Resource) =>
      [viewer, member, admin].map((one) => mayDo(one, action, resource));
    expect(may('session.read', inTeam('eng'))).toEqual([true, true, true]);
    expect(may('session.work', inTeam('eng'))).toEqual([false, true, true]);
    expect(may('workspace.audit', acme)).toEqual([false, false, true]);
    expect(may('deployment.install', DEPLOYMENT)).toEqual([false, false, true]);
  });

  it('who has the password for installing does nothing else by it', () => {
    const allowed = (
      [
        'page.open',
        'sessions.list',
        'session.read',
        'session.work',
        'self.see',
        'deployment.install',
        'deployment.audit',
      ] as Action[]
    ).filter((action) => mayDo(installer(), action, inTeam('eng')));
    expect(allowed).toEqual(['deployment.install']);
  });

  it('the one person of a deployment with a password may do everything', () => {
    for (const action of ['session.work', 'deployment.install', 'deployment.audit'] as Action[]) {
      expect(mayDo(nameless('password'), action, inTeam('any', 'any'))).toBe(true);
    }
  });
});

describe('the role of a person in a workspace', () => {
  const membership = { workspaceId: 'acme', userId: 'Ada-1', isAdmin: false, isGuest: false, teamIds: [] };
  it('is that of a viewer if the workspace lists them by email, by id, or as a guest, and never of an admin', () => {
    expect(roleOf(membership, 'ada@acme.example', [])).toBe('member');
    expect(roleOf(membership, 'ada@acme.example', ['ADA@acme.example'])).toBe('viewer');
    expect(roleOf(membership, 'ada@acme.example', ['ada-1'])).toBe('viewer');
    expect(roleOf(membership, 'ada@acme.example', ['guests'])).toBe('member');
    expect(roleOf({ ...membership, isGuest: true }, 'ada@acme.example', ['Guests'])).toBe('viewer');
    expect(roleOf({ ...membership, isAdmin: true }, 'ada@acme.example', ['ada-1'])).toBe('admin');
  });
});
