import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LinearSimulator } from '../../../dev/linear/simulator.ts';
import { call, startWithReceiver } from './api.ts';
import { APPLICATION, answerConsent, answerIn, authorizeUrl, exchangeCode, open } from './oauth-client.ts';

const PERSON = `query Person { viewer { id name email app admin guest active organization { urlKey }
  teamMemberships(first: 50) { nodes { team { id key } } } } teams(first: 50) { nodes { id key visibility } } }`;
const BY_EMAIL = `query ByEmail($email: String!) { users(first: 2, filter: { email: { eqIgnoreCase: $email } }) {
  nodes { displayName guest } } }`;
const AS_PERSON = { actor: 'user', scope: 'read' };

let linear: LinearSimulator;
let stop: () => Promise<void>;
beforeEach(async () => {
  ({ linear, stop } = await startWithReceiver({ application: APPLICATION }));
});
afterEach(() => stop());

async function signedIn(workspace: string) {
  const { location } = await answerConsent(authorizeUrl(linear, AS_PERSON), 'allow', workspace);
  const { body } = await exchangeCode(linear, answerIn(location).code ?? '');
  const { data } = await call(linear, PERSON, {}, body.access_token);
  const keys = (nodes: { key: string }[]) => nodes.map(({ key }) => key).toSorted();
  const memberOf = data?.viewer.teamMemberships.nodes.map(({ team }: { team: { key: string } }) => team);
  return { viewer: data?.viewer, sees: keys(data?.teams.nodes), memberOf: keys(memberOf) };
}

describe('A person who signs in to an application', () => {
  it('chooses whom to be, in which workspace', async () => {
    const { html } = await open(authorizeUrl(linear, AS_PERSON));
    for (const who of ['Ada Example, Example Workspace', 'Ben Example', 'Grace Example, Second Workspace', 'Hedy']) {
      expect(html).toContain(who);
    }
    expect((await signedIn('example/ben')).viewer).toMatchObject({
      ...{ name: 'Ben Example', email: 'ben@example.com', app: false, admin: false, active: true },
      organization: { urlKey: 'example' },
    });
    expect((await signedIn('second/grace')).viewer).toMatchObject({
      ...{ name: 'Grace Example', admin: true },
      organization: { urlKey: 'second' },
    });
  });

  it('sees a private team only as its member', async () => {
    linear.createTeam('SEC', 'Security', undefined, ['ada']);
    expect(await signedIn('example/ada')).toMatchObject({ sees: ['ENG', 'SEC'], memberOf: ['ENG', 'SEC'] });
    expect(await signedIn('example/ben')).toMatchObject({ sees: ['ENG'], memberOf: ['ENG'] });
    linear.setMembers('SEC', ['ben']);
    expect(await signedIn('example/ben')).toMatchObject({ sees: ['ENG', 'SEC'], memberOf: ['ENG', 'SEC'] });
  });

  it('sees nothing but their own teams as a guest', async () => {
    linear.createTeam('EXT', 'External', undefined, ['ben']);
    linear.changePerson('ben', { guest: true });
    expect(await signedIn('example/ben')).toMatchObject({ sees: ['EXT'], memberOf: ['EXT'] });
  });

  it('is found by email by the application, and not once they are suspended', async () => {
    const find = async () => (await call(linear, BY_EMAIL, { email: 'BEN@example.com' })).data?.users.nodes;
    expect(await find()).toEqual([{ displayName: 'ben', guest: false }]);
    linear.changePerson('ben', { active: false });
    expect(await find()).toEqual([]);
  });
});
