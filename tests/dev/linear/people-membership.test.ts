import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LinearSimulator } from '../../../dev/linear/simulator.ts';
import { dataOf, type Send } from '../../../src/linear/api/call.ts';
import { request } from '../../../src/linear/api/request.ts';
import { personByEmail, personById, personOfToken } from '../../../src/people/linear-membership.ts';
import { startWithReceiver, TOKEN } from './api.ts';
import { APPLICATION, answerIn, authorizeUrl, exchangeCode } from './oauth-client.ts';

let linear: LinearSimulator;
let stop: () => Promise<void>;
beforeEach(async () => {
  ({ linear, stop } = await startWithReceiver({ application: APPLICATION }));
});
afterEach(() => stop());

/** As the Worker sends with a token at hand. */
function sendWith(url: string, token: string): Send {
  return async (call) => dataOf((await request(url, token, call)).result);
}

/** What Cyrus learns with the token of a person who has just signed in. */
async function byOwnToken(person: string, workspace = 'example') {
  const url = authorizeUrl(linear, { actor: 'user', scope: 'read' });
  const code = answerIn(linear.oauth.approve(url, { workspace, person })).code ?? '';
  const { body } = await exchangeCode(linear, code);
  return personOfToken(sendWith(linear.graphqlUrl, body.access_token));
}

describe('Cyrus asks the simulator as it asks Linear, and', () => {
  it('learns the same of a person by their own token, by their id and by their email', async () => {
    linear.createTeam('SEC', 'Security', undefined, ['ben']);
    const app = sendWith(linear.graphqlUrl, TOKEN);
    for (const name of ['ada', 'ben']) {
      const own = await byOwnToken(name);
      expect(own?.membership).toMatchObject({ workspaceId: linear.workspace.id, isAdmin: name === 'ada' });
      expect(own?.membership.teamIds).toHaveLength(name === 'ben' ? 2 : 1);
      expect(await personById(app, own?.membership.userId ?? '')).toEqual(own);
      expect(await personByEmail(app, `${name.toUpperCase()}@example.com`)).toEqual(own);
    }
  });

  it('learns that a guest sees their own teams alone', async () => {
    linear.createTeam('EXT', 'External', undefined, ['ben']);
    linear.changePerson('ben', { guest: true });
    const guest = await byOwnToken('ben');
    expect(guest?.membership.isGuest).toBe(true);
    expect(guest?.membership.teamIds).toHaveLength(1);
  });

  it('takes nobody for a person who is suspended, unknown, an application, or of another workspace', async () => {
    const app = sendWith(linear.graphqlUrl, TOKEN);
    const [ben, hedy] = [await byOwnToken('ben'), await byOwnToken('hedy', 'second')];
    linear.changePerson('ben', { active: false });
    expect(await personById(app, ben?.membership.userId ?? '')).toBeNull();
    expect(await personByEmail(app, 'ben@example.com')).toBeNull();
    expect(await personById(app, hedy?.membership.userId ?? '')).toBeNull();
    expect(await personById(app, linear.appUserId)).toBeNull();
    expect(await personOfToken(app)).toBeNull();
  });
});
