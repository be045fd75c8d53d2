/** What a session's sandbox is told of setup scripts that an admin set. */
import { env } from 'cloudflare:workers';
import { beforeEach, expect, it, vi } from 'vitest';
import { workspaceSettingsSchema } from '../../src/protocol/settings/access-rules.ts';
import { repositorySettingsSchema } from '../../src/protocol/settings/repository.ts';
import { openDatabase } from '../../src/store/database.ts';
import { upsertRepository } from '../../src/store/workspaces/repositories.ts';
import { writeWorkspaceSettings } from '../../src/store/workspaces/workspace-settings.ts';
import { created, newThread, ORGANIZATION, send } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { registerWorkspace } from './support/sessions.ts';

const db = openDatabase(env.DB, env.ENCRYPTION_KEY);
let outside: Outside;

async function startWith(settings: object, workspace: object) {
  const input = {
    cloneUrl: 'https://git.test/acme/site.git',
    baseBranch: 'main',
    settings: repositorySettingsSchema.parse({ isDefault: true, ...settings }),
  };
  await upsertRepository(db, ORGANIZATION, 'acme/site', input, 1);
  await writeWorkspaceSettings(db, ORGANIZATION, workspaceSettingsSchema.parse(workspace), 1);
  await send(created(newThread()));
  await vi.waitFor(() => expect(outside.starts).toHaveLength(1));
  return outside.starts[0]?.body;
}

beforeEach(async () => {
  outside = new Outside();
  await env.DB.exec('DELETE FROM repositories');
  await registerWorkspace();
});

it('a session starts the sandbox with the workspace’s script before the repository’s, and with the time they may take', async () => {
  const body = await startWith(
    { setupScript: 'make tools', setupTimeoutSeconds: 90 },
    { setupScript: 'apt-get --version\n' },
  );
  expect(body?.setupScripts).toEqual([
    { of: 'workspace', script: 'apt-get --version' },
    { of: 'repository', script: 'make tools' },
  ]);
  expect(body?.setupTimeoutSeconds).toBe(90);
});

it('a session starts the sandbox without a setup script if none is set', async () => {
  const body = await startWith({}, {});
  expect(body?.setupScripts).toBeUndefined();
  expect(body?.setupTimeoutSeconds).toBe(600);
});
