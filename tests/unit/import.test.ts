import { describe, expect, it } from 'vitest';
import { planImport, theirConfigSchema } from '../../dev/operate/cyrusagents.ts';

const shop = { id: 'r1', name: 'Shop', repositoryPath: '/srv/shop', baseBranch: 'main', workspaceBaseDir: '/srv/w' };
const AT_GITHUB = 'https://github.com/acme/shop';

/** What is planned for a file with these repositories and other fields. */
function plan(repositories: object[], others: object = {}) {
  return planImport(theirConfigSchema.parse({ repositories, ...others }));
}
/** The settings of one repository. */
const settingsOf = (fields: object, others: object = {}) =>
  plan([{ ...shop, githubUrl: AT_GITHUB, ...fields }], others).repositories[0]?.settings;

describe('a configuration of cyrusagents', () => {
  it('becomes repositories with their rules, roles, people, tools, model and instructions', () => {
    const { repositories, notes } = plan([
      {
        ...shop,
        githubUrl: `${AT_GITHUB}.git`,
        linearWorkspaceId: 'w1',
        linearToken: 'lin_secret',
        teamKeys: ['ENG'],
        routingLabels: ['frontend'],
        projectKeys: ['Shop'],
        labelPrompts: { debugger: ['Bug'], scoper: { labels: ['PRD'] } },
        userAccessControl: { allowedUsers: ['usr_1', { email: 'ada@acme.example' }], blockedUsers: [{ id: 'usr_2' }] },
        allowedTools: ['Read', 'Bash(npm test:*)', 'WebFetch'],
        disallowedTools: ['WebFetch'],
        model: 'opus',
        appendInstruction: 'Use pnpm.',
      },
    ]);
    expect(notes).toEqual([]);
    expect(repositories).toEqual([
      {
        workspaceId: 'w1',
        fullName: 'acme/shop',
        cloneUrl: 'https://github.com/acme/shop.git',
        baseBranch: 'main',
        settings: {
          teams: ['ENG'],
          labels: ['frontend'],
          projects: ['Shop'],
          roleLabels: { debugger: ['Bug'], scoper: ['PRD'] },
          allowedUsers: ['usr_1', 'ada@acme.example'],
          blockedUsers: ['usr_2'],
          tools: ['Read', 'Bash(npm test:*)'],
          model: 'opus',
          instructions: 'Use pnpm.',
        },
      },
    ]);
    expect(JSON.stringify(repositories)).not.toContain('lin_secret');
  });

  it('lets nobody in who was kept out: a list that allows nobody is not taken, and who is blocked anywhere is blocked', () => {
    const blank = plan([{ ...shop, githubUrl: AT_GITHUB, userAccessControl: { allowedUsers: [' ', { id: '' }] } }]);
    expect(blank.repositories).toEqual([]);
    const nobody = plan([{ ...shop, githubUrl: AT_GITHUB, userAccessControl: { allowedUsers: [] } }]);
    expect(nobody.repositories).toEqual([]);
    expect(nobody.notes.join()).toMatch(/Shop: allows nobody .* Here an empty list allows everybody/);
    const common = { userAccessControl: { allowedUsers: ['all'], blockedUsers: ['eve'] } };
    expect(plan([{ ...shop, githubUrl: AT_GITHUB }], { userAccessControl: { allowedUsers: [] } }).repositories).toEqual(
      [],
    );
    expect(settingsOf({}, common)).toMatchObject({ allowedUsers: ['all'], blockedUsers: ['eve'] });
    expect(
      settingsOf({ userAccessControl: { allowedUsers: ['ada'], blockedUsers: ['mallory'] } }, common),
    ).toMatchObject({
      allowedUsers: ['ada'],
      blockedUsers: ['eve', 'mallory'],
    });
  });

  it('gives no more tools than were allowed: what is left out of a list stays out, and an empty one only looks on', () => {
    expect(settingsOf({}, { defaultAllowedTools: ['Read', 'Edit'], defaultDisallowedTools: ['Edit'] })).toEqual({
      tools: ['Read'],
    });
    expect(settingsOf({ allowedTools: ['Edit'], disallowedTools: ['Edit'] })).toEqual({ tools: 'readOnly' });
    expect(settingsOf({ allowedTools: ['Read', 'Bash(git:*)'], disallowedTools: ['Bash'] })).toEqual({
      tools: ['Read'],
    });
    const { notes } = plan([
      { ...shop, githubUrl: AT_GITHUB, allowedTools: ['Bash'], disallowedTools: ['Bash(rm:*)'] },
    ]);
    expect(notes.join()).toMatch(/keeps single calls from Claude: Bash\(rm:\*\)\. .*--ask-first/);
    const without = plan([{ ...shop, githubUrl: AT_GITHUB, disallowedTools: ['WebFetch'] }]);
    expect(without.notes.join()).toMatch(/keeps WebFetch from Claude\. .*--tools/);
  });

  it('says what to do about everything that does not map, and shows none of its values', () => {
    const { repositories, notes } = plan(
      [
        {
          ...shop,
          githubUrl: AT_GITHUB,
          mcpConfigPath: '/srv/mcp-secret.json',
          promptTemplatePath: '/srv/p.md',
          labelPrompts: { orchestrator: ['Epic'], builder: { labels: ['Feature'], allowedTools: 'safe' } },
          novelField: 'value-of-it',
        },
        { ...shop, name: 'Old', isActive: false },
        { ...shop, name: 'Local' },
        { ...shop, name: 'Ssh', githubUrl: 'git@github.com:acme/ssh.git' },
        { ...shop, githubUrl: `${AT_GITHUB}/` },
      ],
      { claudeDefaultModel: 'opus', global_setup_script: '/srv/s.sh', ngrokAuthToken: 'ngrok_secret' },
    );
    expect(repositories).toHaveLength(1);
    const text = notes.join('\n');
    for (const part of [
      /global_setup_script is not taken: .*--setting setupScript=/,
      /npm run settings -- set CLAUDE_MODEL opus/,
      /Shop: mcpConfigPath is not taken: add each server by npm run repositories -- mcp add\./,
      /Shop: promptTemplatePath is not taken/,
      /Shop: has the role orchestrator for Epic, which is not there/,
      /Shop: sets allowedTools for the role builder\. Tools are set for a repository/,
      /Shop: novelField is not taken: no setting here is known for it\./,
      /Old: is switched off/,
      /Local: has no githubUrl/,
      /Ssh: has no githubUrl that is an https address/,
      /acme\/shop is in the file more than once/,
    ]) {
      expect(text).toMatch(part);
    }
    for (const secret of ['ngrok_secret', 'mcp-secret', 'value-of-it']) expect(text).not.toContain(secret);
  });
});
