import { describe, expect, it } from 'vitest';
import { accessRulesSchema } from '../../src/protocol/settings/access-rules.ts';
import type { Placement } from '../../src/protocol/settings/placement.ts';
import { certainPlacement } from '../../src/session/effects/start/known-placement.ts';
import type { Person } from '../../src/session/lifecycle/model/directives.ts';
import type { PhaseState } from '../../src/session/lifecycle/model/phases.ts';

const standard: Placement = { kind: 'container', instance: 'standard' };
const large: Placement = { kind: 'container', instance: 'large' };
const endpoint: Placement = { kind: 'endpoint', url: 'https://build.example.com' };
const open = accessRulesSchema.parse({});
const ada: Person = { id: 'ada', email: 'ada@example.com' };

function asked(person: Person = ada): { phase: PhaseState } {
  const prompts = [{ promptId: 'p', agentSessionId: 'a', person }];
  return { phase: { name: 'starting', since: 0, reason: '', turn: { number: 1, startedAt: 0, prompts, losses: 0 } } };
}

describe('the container starts while the issue is still being read', () => {
  it('if every repository of the workspace runs in containers of one size', () => {
    expect(certainPlacement(asked(), [standard], [open])).toEqual(standard);
    expect(certainPlacement(asked(), [large, large], [open])).toEqual(large);
    expect(certainPlacement(asked(), [large, standard], [open])).toBeNull();
    expect(certainPlacement(asked(), [], [open])).toBeNull();
  });

  it('but not if sandboxes are endpoints, which run already', () => {
    expect(certainPlacement(asked(), [endpoint], [open])).toBeNull();
    expect(certainPlacement(asked(), [standard, endpoint], [open])).toBeNull();
    expect(certainPlacement(asked(), [{ kind: 'deployment' }], [open])).toBeNull();
  });

  it('but not if somebody may have to be refused: who may not ask starts nothing', () => {
    for (const list of ['allowedUsers', 'blockedUsers', 'allowedTeams', 'blockedTeams']) {
      const rules = accessRulesSchema.parse({ [list]: ['somebody'] });
      expect(certainPlacement(asked(), [standard], [rules])).toBeNull();
      expect(certainPlacement(asked(), [standard], [open, rules])).toBeNull();
    }
    expect(certainPlacement(asked({ ...ada, outside: true }), [standard], [open])).toBeNull();
  });
});
