import { expect, it } from 'vitest';
import { assign } from '../../src/claude/roles.ts';
import { defaultSettings, repositorySettingsSchema } from '../../src/protocol/repository.ts';

it('without a label Claude is a builder with every tool and the usual model', () => {
  const { role, model, tools, instructions } = assign([], defaultSettings, 'sonnet');
  expect({ role, model, instructions }).toEqual({ role: 'builder', model: 'sonnet', instructions: '' });
  expect(tools).toContain('Bash');
});

it('a scoper reads and writes a plan, and has no tool to edit or run anything', () => {
  const { role, tools } = assign(['PRD'], defaultSettings, 'sonnet');
  expect(role).toBe('scoper');
  expect(tools).not.toContain('Edit');
  expect(tools).not.toContain('Write');
  expect(tools).not.toContain('Bash');
});

it('of two roles the one that changes nothing wins', () => {
  expect(assign(['Bug', 'Review'], defaultSettings, 'sonnet').role).toBe('reviewer');
});

it('a label chooses the model, before the repository and the deployment', () => {
  const settings = repositorySettingsSchema.parse({ model: 'haiku' });
  expect(assign(['Opus'], settings, 'sonnet').model).toBe('opus');
  expect(assign([], settings, 'sonnet').model).toBe('haiku');
});

it("the repository's own labels, tools and instructions are honoured", () => {
  const settings = repositorySettingsSchema.parse({
    roleLabels: { debugger: ['Incident'] },
    tools: 'safe',
    instructions: 'Speak French.',
    roleInstructions: { debugger: 'Look into the dashboards.' },
  });
  const { role, tools, instructions } = assign(['incident'], settings, 'sonnet');
  expect(role).toBe('debugger');
  expect(tools).toContain('Edit');
  expect(tools).not.toContain('Bash');
  expect(instructions).toMatch(
    /Your role is debugger.*An admin of Cyrus set this.*Speak French\..*Look into the dashboards\./s,
  );
});
