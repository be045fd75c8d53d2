import { describe, expect, it } from 'vitest';
import { guidanceSchema, rankGuidance } from '../../src/linear/guidance.ts';
import { parseWebhook } from '../../src/linear/webhooks/webhook.ts';
import { fromAgentSession } from '../../src/session/inbound/webhook-to-event.ts';

const workspace = { body: 'workspace', origin: { type: 'Organization' } };
function ofTeam(id: string, parentId: string | null = null) {
  return { body: id, origin: { type: 'Team', team: { id, key: id, name: id, displayName: `All / ${id}`, parentId } } };
}
const ranked = (rules: unknown, teamId: string | null) =>
  rankGuidance(guidanceSchema.parse(rules), teamId).map(({ body }) => body);

describe('the nearest rule wins', () => {
  const rules = [workspace, ofTeam('company'), ofTeam('web', 'product'), ofTeam('product', 'company')];

  it("the issue's own team comes first, then its parents from below, then the workspace", () => {
    expect(ranked(rules, 'web')).toEqual(['web', 'product', 'company', 'workspace']);
    expect(ranked(rules.toReversed(), 'web')).toEqual(['web', 'product', 'company', 'workspace']);
  });

  it('if the team in between has no rule, and if the team of the issue is not known', () => {
    expect(ranked([workspace, ofTeam('company'), ofTeam('web', 'product')], 'web')).toEqual([
      'web',
      'company',
      'workspace',
    ]);
    expect(ranked(rules, null)).toEqual(['web', 'product', 'company', 'workspace']);
  });

  it('rules of one origin keep their order', () => {
    const first = { ...workspace, body: 'first' };
    expect(ranked([first, workspace], 'web')).toEqual(['first', 'workspace']);
  });

  it('says whose each rule is', () => {
    const [own, parent, all] = rankGuidance(guidanceSchema.parse([workspace, ofTeam('company'), ofTeam('web')]), 'web');
    expect(own?.from).toBe("the issue's team All / web");
    expect(parent?.from).toBe('the team All / company');
    expect(all?.from).toBe('the workspace');
  });
});

describe('guidance of a shape not seen before', () => {
  it.each([undefined, null, 'text', {}, [], [null, 7, {}, { body: null }, { origin: workspace.origin }]])(
    '%j holds no rule, and is no error',
    (guidance) => expect(guidanceSchema.parse(guidance)).toEqual([]),
  );

  it('a rule of an unknown or broken origin is between the teams and the workspace', () => {
    const strange = [undefined, null, 'team', 7, {}, { type: 'Initiative', initiative: { id: 'i' } }, { type: 7 }];
    for (const origin of strange) {
      expect(ranked([workspace, { body: 'strange', origin }, ofTeam('web')], 'web')).toEqual([
        'web',
        'strange',
        'workspace',
      ]);
    }
    const nameless = { body: 'nameless', origin: { type: 'Team', team: null } };
    expect(ranked([workspace, nameless, ofTeam('company')], 'web')).toEqual(['company', 'nameless', 'workspace']);
  });

  it('teams that are each other’s parents are ranked all the same, and empty rules are left out', () => {
    const rules = [ofTeam('a', 'b'), ofTeam('b', 'a'), { ...workspace, body: ' \n' }];
    expect(ranked(rules, 'b')).toEqual(['b', 'a']);
  });

  it('a webhook whose guidance nobody can read still asks what it asks', () => {
    const webhook = {
      type: 'AgentSessionEvent',
      action: 'created',
      organizationId: 'org',
      appUserId: 'app',
      webhookTimestamp: 1,
      guidance: [{ body: 12 }, { body: 'Use tabs.', origin: 'nowhere' }],
      agentSession: {
        id: 'a0d7ca6b-0000-4000-8000-000000000001',
        creator: { id: 'u', name: 'Ada' },
        issue: { id: 'i', identifier: 'ENG-1', title: 'T', url: 'https://linear.app/i', team: { id: 'web' } },
      },
    };
    const parsed = parseWebhook(JSON.stringify(webhook), 1);
    if (parsed.kind !== 'event' || parsed.webhook.type !== 'AgentSessionEvent') throw new Error(JSON.stringify(parsed));
    const request = fromAgentSession(parsed.webhook, 'id-1');
    expect(request?.promptText?.first).toContain('Use tabs.');
    expect(request?.about?.issue?.teamId).toBe('web');
  });
});
