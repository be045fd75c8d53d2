import { describe, expect, it } from 'vitest';
import { assign } from '../../src/claude/roles.ts';
import { defaultSettings, repositorySettingsSchema } from '../../src/protocol/settings/repository.ts';

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

it('a label names the effort, before the role’s, the repository’s and none', () => {
  const settings = repositorySettingsSchema.parse({ effort: 'low', roleEfforts: { debugger: 'high' } });
  for (const label of ['effort:max', 'Effort: Max', 'effort=max', 'effort/max', 'effort max']) {
    expect(assign([label, 'Bug'], settings, 'sonnet').effort).toBe('max');
  }
  expect(assign(['Bug'], settings, 'sonnet').effort).toBe('high');
  expect(assign(['effort:huge', 'effort'], settings, 'sonnet').effort).toBe('low');
  expect(assign([], defaultSettings, 'sonnet')).not.toHaveProperty('effort');
});

it('a role has a model of its own if one is set, unless a label or a wish names another', () => {
  const settings = repositorySettingsSchema.parse({ model: 'haiku', roleModels: { scoper: 'opus' } });
  expect(assign(['PRD'], settings, 'sonnet').model).toBe('opus');
  expect(assign(['PRD', 'Fable'], settings, 'sonnet').model).toBe('fable');
  expect(assign([], settings, 'sonnet', { model: 'claude-x-1', effort: 'xhigh' })).toMatchObject({
    model: 'claude-x-1',
    effort: 'xhigh',
  });
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
  expect(instructions).toMatch(
    /Your role is debugger.*An admin of Cyrus set this.*Speak French\..*Look into the dashboards\./s,
  );
});

describe('tools', () => {
  const accessOf = (settings: object, labels: string[] = []) => {
    const { tools, permissions } = assign(labels, repositorySettingsSchema.parse(settings), 'sonnet');
    return { tools, permissions };
  };

  it('`readOnly` offers nothing that edits or runs', () => {
    const { tools } = accessOf({ tools: 'readOnly' });
    for (const tool of ['Edit', 'Write', 'NotebookEdit', 'Bash']) expect(tools).not.toContain(tool);
  });

  it('`safe` edits without asking, and asks before each command', () => {
    const { tools, permissions } = accessOf({ tools: 'safe' });
    expect(tools).toEqual(expect.arrayContaining(['Edit', 'Write', 'Bash']));
    expect(permissions).toMatchObject({ ask: ['Bash'], others: 'ask' });
    expect(permissions?.allow).toEqual(expect.arrayContaining(['Edit', 'Write', 'Read']));
  });

  it('`all` asks nothing but what is to be asked first', () => {
    expect(accessOf({}).permissions).toEqual({ allow: [], ask: [], others: 'allow' });
    const { permissions } = accessOf({ askFirst: ['Bash(npm publish:*)', 'WebFetch'] });
    expect(permissions).toEqual({ allow: [], ask: ['Bash(npm publish:*)', 'WebFetch'], others: 'allow' });
  });

  it('of a list are offered alone, unless the settings say that the rest is asked for', () => {
    expect(accessOf({ tools: ['Read', 'Edit'] }).tools).toEqual(['Read', 'Edit']);
    const { tools, permissions } = accessOf({ tools: ['Read', 'Edit'], otherTools: 'ask' });
    expect(tools).toEqual(expect.arrayContaining(['Read', 'Edit', 'Bash', 'WebFetch']));
    expect(permissions?.ask).toEqual(expect.arrayContaining(['Bash', 'WebFetch', 'Write']));
    // To plan and to ask people needs no leave.
    expect(permissions?.ask).not.toContain('TaskCreate');
    expect(permissions?.ask).not.toContain('AskUserQuestion');
  });

  it('of a list with patterns: a command that fits none is refused', () => {
    const { tools, permissions } = accessOf({ tools: ['Read', 'Bash(npm test:*)'] });
    expect(tools).toEqual(['Read', 'Bash']);
    expect(permissions).toEqual({ allow: ['Read', 'Bash(npm test:*)'], ask: [], others: 'refuse' });
  });

  it.each([['scoper'], ['reviewer']])('of a %s cannot be widened by settings, only narrowed', (label) => {
    for (const settings of [
      { tools: 'all' },
      { tools: 'safe' },
      { tools: ['Edit', 'Write', 'Bash'], otherTools: 'ask' },
    ]) {
      const { tools, permissions } = accessOf(settings, [label]);
      for (const tool of ['Edit', 'Write', 'NotebookEdit']) expect(tools).not.toContain(tool);
      if (tools.includes('Bash')) expect(permissions?.others).toBe('refuse');
    }
    expect(accessOf({ tools: ['Read', 'Grep'] }, [label]).tools).toEqual(['Read', 'Grep']);
  });

  it('are named by rules of the CLI, and what is none is refused by name', () => {
    expect(repositorySettingsSchema.safeParse({ askFirst: ['Bash(npm publish'] }).success).toBe(false);
    expect(repositorySettingsSchema.safeParse({ tools: ['Bash(rm)\nEdit'] }).success).toBe(false);
  });
});
