import { describe, expect, it } from 'vitest';
import { type AccessRules, accessRulesSchema } from '../../src/protocol/settings/access-rules.ts';
import { type Access, AUTOMATION, refusalOf } from '../../src/session/lifecycle/model/admission.ts';

const ada = { id: 'user-ada', email: 'ada@example.com' };
const eve = { id: 'user-eve', email: 'eve@example.com' };
const customer = { id: 'external-1', email: null, outside: true as const };
const web = { id: 'team-web', key: 'WEB', name: 'Web' };

function access(workspace: Partial<AccessRules>, repository: Partial<AccessRules> = {}, team = web): Access {
  return { workspace: accessRulesSchema.parse(workspace), repository: accessRulesSchema.parse(repository), team };
}

describe('who may give work to Cyrus', () => {
  it('everyone of the workspace may give work if nothing is set, and people outside may not', () => {
    for (const person of [ada, eve, AUTOMATION, undefined]) expect(refusalOf(access({}), person)).toBeNull();
    expect(refusalOf(access({}), customer)).toContain('only members of this workspace');
  });

  it('is decided by the start if the rules are not known yet', () => {
    expect(refusalOf(null, eve)).toBeNull();
  });

  it.each(['eve@example.com', 'EVE@Example.com', 'user-eve'])('is not %s if that is blocked', (name) => {
    expect(refusalOf(access({ blockedUsers: [name] }), eve)).toContain('in this workspace');
    expect(refusalOf(access({}, { blockedUsers: [name] }), eve)).toContain('in this repository');
    expect(refusalOf(access({ blockedUsers: [name] }), ada)).toBeNull();
  });

  it('is only those on a list of allowed ones, if there is one', () => {
    expect(refusalOf(access({ allowedUsers: ['ada@example.com'] }), ada)).toBeNull();
    expect(refusalOf(access({ allowedUsers: ['ada@example.com'] }), eve)).toContain('Sorry');
  });

  it('excludes a person who is blocked, even if a list of allowed people has them', () => {
    expect(refusalOf(access({ allowedUsers: ['eve@example.com'], blockedUsers: ['user-eve'] }), eve)).not.toBeNull();
    expect(refusalOf(access({ blockedUsers: ['user-eve'] }, { allowedUsers: ['user-eve'] }), eve)).not.toBeNull();
  });

  it('has to be let in by the workspace and by the repository; the workspace is told first', () => {
    const onlyAda = { allowedUsers: ['user-ada'] };
    const onlyEve = { allowedUsers: ['user-eve'] };
    expect(refusalOf(access(onlyAda, onlyEve), eve)).toContain('in this workspace');
    expect(refusalOf(access(onlyAda, onlyEve), ada)).toContain('in this repository');
    expect(refusalOf({ ...access(onlyAda), repository: null }, ada)).toBeNull();
  });

  it('is no automation if only some people are allowed, unless that is listed too', () => {
    expect(refusalOf(access({ allowedUsers: ['user-ada'] }), AUTOMATION)).not.toBeNull();
    expect(refusalOf(access({ allowedUsers: ['user-ada', 'automation'] }), AUTOMATION)).toBeNull();
    expect(refusalOf(access({ blockedUsers: ['automation'] }), AUTOMATION)).not.toBeNull();
  });

  it('is a person outside only if that is said, of all of them or of this one', () => {
    expect(refusalOf(access({}, { allowedUsers: ['outside'] }), customer)).toBeNull();
    expect(refusalOf(access({ allowedUsers: ['external-1'] }), customer)).toBeNull();
    expect(refusalOf(access({ allowedUsers: ['outside'], blockedUsers: ['external-1'] }), customer)).not.toBeNull();
  });

  it('a person with the password of the pages may give work as far as the team may', () => {
    expect(refusalOf(access({ allowedUsers: ['user-ada'] }), undefined)).toBeNull();
    expect(refusalOf(access({ blockedTeams: ['WEB'] }), undefined)).not.toBeNull();
  });
});

describe('which teams may', () => {
  it.each(['web', 'WEB', 'team-web'])(
    'a blocked team may not, named %s, and a list of allowed ones leaves others out',
    (name) => {
      expect(refusalOf(access({ blockedTeams: [name] }), ada)).toBe(
        'Sorry, Cyrus accepts no work of the team Web in this workspace. A Cyrus admin can change that.',
      );
      expect(refusalOf(access({}, { blockedTeams: [name], allowedTeams: [name] }), ada)).toContain(
        'in this repository',
      );
      expect(refusalOf(access({ allowedTeams: [name] }), ada)).toBeNull();
      expect(refusalOf(access({ allowedTeams: ['OPS'] }), ada)).toContain('the team Web');
    },
  );

  it('a request outside of every team is let in unless only some teams are allowed', () => {
    expect(refusalOf({ ...access({ blockedTeams: ['WEB'] }), team: null }, ada)).toBeNull();
    expect(refusalOf({ ...access({ allowedTeams: ['WEB'] }), team: null }, ada)).toContain('outside its teams');
  });
});
