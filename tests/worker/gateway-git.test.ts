import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import type { Claims } from '../../src/gateway/token.ts';
import { repositorySettingsSchema } from '../../src/protocol/settings/repository.ts';
import { openDatabase } from '../../src/store/database.ts';
import { identityOf } from '../../src/store/repository-cache.ts';
import { upsertRepository } from '../../src/store/workspaces/repositories.ts';
import { upsertWorkspace } from '../../src/store/workspaces/workspaces.ts';
import { gatewayStage } from './support/gateway-stage.ts';

const GIT_PASSWORD = 'real-git-password-of-the-test';
const config = { encryptionKey: env.ENCRYPTION_KEY };
const stage = gatewayStage();
const { ask } = stage;

describe('the way to the git host', () => {
  const db = openDatabase(env.DB, config.encryptionKey);
  const workspace = { name: 'Acme', urlKey: 'acme', appUserId: 'app', accessToken: 'lin_oauth_test' };
  const store = async (id: string, cloneUrl = 'https://git.example/acme/shop.git') => {
    await upsertWorkspace(db, id, workspace, 1);
    const credential = { username: 'cyrus', password: GIT_PASSWORD };
    await upsertRepository(db, id, 'acme/shop', { cloneUrl, baseBranch: 'main', credential }, 1);
  };
  const refs = '/git/acme/shop.git/info/refs?service=git-upload-pack';

  it('leads a session to no other repository that was given the name of its own while it ran', async () => {
    const identity = await identityOf('git-moved', 'https://git.example/acme/shop.git');
    await store('git-moved', 'https://elsewhere.example/acme/shop.git');
    const response = await ask(refs, {}, env, { w: 'git-moved', i: identity });
    expect(response.status).toBe(403);
    expect(await response.text()).toContain('the clone address of acme/shop changed since this session began');
    expect(stage.sent).toEqual([]);
    stage.upstream = () => new Response('refs');
    await store('git-same');
    const same = await identityOf('git-same', 'https://git.example/acme/shop.git');
    expect((await ask(refs, {}, env, { w: 'git-same', i: same })).status).toBe(200);
  });

  it('adds the credential stored for the repository of the session', async () => {
    await store('git-1');
    stage.upstream = () =>
      new Response('refs', { headers: { 'content-type': 'application/x-git-upload-pack-advertisement' } });
    const response = await ask(refs, {}, env, { w: 'git-1' });
    expect(await response.text()).toBe('refs');
    expect(stage.sent[0]?.url).toBe('https://git.example/acme/shop.git/info/refs?service=git-upload-pack');
    expect(stage.sent[0]?.headers.get('authorization')).toBe(`Basic ${btoa(`cyrus:${GIT_PASSWORD}`)}`);
  });

  it('moves objects of Git LFS by addresses that it seals, and only in the session’s own repository', async () => {
    await store('git-lfs');
    const by = { w: 'git-lfs' };
    const oid = 'd'.repeat(64);
    const stored = 'https://storage.example/one?signature=secret';
    stage.upstream = async (request) => {
      if (request.url !== stored) {
        const actions = { upload: { href: stored, header: { 'x-amz-date': 'now' } } };
        return Response.json({ objects: [{ oid, size: 5, actions }] });
      }
      return new Response(await request.text());
    };
    const body = JSON.stringify({ operation: 'upload', objects: [{ oid, size: 5 }] });
    const batch = await ask('/git/acme/shop.git/info/lfs/objects/batch', { method: 'POST', body }, env, by);
    const text = await batch.text();
    expect(text).not.toMatch(/secret|storage\.example|x-amz/);
    expect(stage.sent[0]?.url).toBe('https://git.example/acme/shop.git/info/lfs/objects/batch');
    expect(stage.sent[0]?.headers.get('authorization')).toBe(`Basic ${btoa(`cyrus:${GIT_PASSWORD}`)}`);
    const found: { objects: [{ actions: { upload: { href: string } } }] } = JSON.parse(text);
    const { href } = found.objects[0].actions.upload;
    expect(href).toMatch(/^http:\/\/cyrus\.test\/gateway\/git\/acme\/shop\.git\/info\/lfs\/objects\//);
    const put = (content: string, claimed: Partial<Claims>) =>
      ask(
        new URL(href).pathname.slice('/gateway'.length),
        { method: 'PUT', body: content, headers: { 'content-length': '5' } },
        env,
        claimed,
      );
    expect((await put('12345', by)).status).toBe(200);
    expect(stage.sent[1]?.url).toBe(stored);
    expect(stage.sent[1]?.headers.get('authorization')).toBeNull();
    expect(stage.sent[1]?.headers.get('x-amz-date')).toBe('now');
    for (const claimed of [{ ...by, g: 3 }, { w: 'git-1' }, { ...by, ro: true as const }]) {
      expect((await put('12345', claimed)).status).toBe(403);
    }
    expect((await ask('/git/acme/other.git/info/lfs/objects/batch', { method: 'POST', body }, env, by)).status).toBe(
      403,
    );
    expect(stage.sent).toHaveLength(2);
  });

  it('reads submodules by the credential that may, never those of another workspace, and pushes to none', async () => {
    const other = { cloneUrl: 'https://git.example/acme/lib.git', baseBranch: 'main' };
    const credential = { username: 'lib', password: 'password-of-the-library' };
    await store('modules-1');
    await store('modules-2');
    await upsertWorkspace(db, 'modules-3', workspace, 1);
    await upsertRepository(db, 'modules-1', 'acme/lib', { ...other, credential }, 1);
    const foreign = { ...other, cloneUrl: 'https://git.example/acme/Secret', credential };
    await upsertRepository(db, 'modules-3', 'acme/secret', foreign, 1);
    stage.upstream = () => new Response('refs');
    const fetchOf = (url: string, w: string, service = 'upload') =>
      ask(`/modules/${btoa(url).replace(/=+$/, '')}/info/refs?service=git-${service}-pack`, {}, env, { w });
    const sentTo = () => [stage.sent.at(-1)?.url, stage.sent.at(-1)?.headers.get('authorization')];
    const refs = 'info/refs?service=git-upload-pack';
    // One of the workspace's own, by its own credential.
    expect((await fetchOf('../lib.git', 'modules-1')).status).toBe(200);
    expect(sentTo()).toEqual([`${other.cloneUrl}/${refs}`, `Basic ${btoa('lib:password-of-the-library')}`]);
    // One that nobody has set, by the session's.
    expect((await fetchOf('git@git.example:acme/free.git', 'modules-2')).status).toBe(200);
    expect(sentTo()).toEqual([`https://git.example/acme/free.git/${refs}`, `Basic ${btoa(`cyrus:${GIT_PASSWORD}`)}`]);
    const before = stage.sent.length;
    for (const [url, words] of [
      ['../secret.git', 'it belongs to another workspace'],
      ['../lib', 'it belongs to another workspace'],
      ['https://evil.example/acme/lib.git', 'it is not at git.example'],
    ] as const) {
      const refused = await fetchOf(url, 'modules-2');
      expect([refused.status, await refused.text()]).toEqual([403, expect.stringContaining(words)]);
    }
    expect((await fetchOf('../lib.git', 'modules-1', 'receive')).status).toBe(403);
    const rules = { ...repositorySettingsSchema.parse({}), allowedUsers: ['ada@acme.example'] };
    await upsertRepository(db, 'modules-1', 'acme/lib', { ...other, credential, settings: rules }, 2);
    expect(await (await fetchOf('../lib.git', 'modules-1')).text()).toContain('rules of its own');
    expect(stage.sent).toHaveLength(before);
  });

  it('refuses a path written another way than git writes it', async () => {
    await store('git-2');
    for (const path of [
      '/%67it/acme/shop.git/info/refs',
      '/git/acme%2fshop.git/info/refs',
      '/git//acme/shop.git/info/refs',
    ]) {
      const response = await ask(`${path}?service=git-upload-pack`, {}, env, { w: 'git-2' });
      expect([403, 404]).toContain(response.status);
    }
    expect(stage.sent).toEqual([]);
  });

  it('says when the repository is no longer configured, or its credential cannot be read', async () => {
    const unknown = await ask(refs, {}, env, { w: 'git-unknown' });
    expect(unknown.status).toBe(403);
    expect(await unknown.text()).toBe('Cyrus: the repository acme/shop is no longer configured\n');
    await store('git-3');
    // A clone address changed behind Cyrus's back does not get the credential.
    await env.DB.prepare(
      "update repositories set clone_url = 'https://evil.example/' where workspace_id = 'git-3'",
    ).run();
    const moved = await ask(refs, {}, env, { w: 'git-3' });
    expect(moved.status).toBe(403);
    expect(await moved.text()).toContain('was altered or belongs to something else');
    expect(stage.sent).toEqual([]);
  });

  it('streams a push to the host, uncompressed and whole', async () => {
    await store('git-4');
    const pkt = (text: string) => (text.length + 4).toString(16).padStart(4, '0') + text;
    const line = `${'0'.repeat(40)} ${'1'.repeat(40)} refs/heads/cyrus/eng-1\0 report-status side-band-64k`;
    const head = new TextEncoder().encode(`${pkt(line)}0000PACK`);
    const size = 3_000_000;
    let arrived = 0;
    let encoding: string | null = 'unset';
    stage.upstream = async (request) => {
      encoding = request.headers.get('content-encoding');
      for await (const chunk of request.body ?? []) arrived += (chunk as Uint8Array).byteLength;
      return new Response('done', { headers: { 'content-type': 'application/x-git-receive-pack-result' } });
    };
    const headers = { 'content-type': 'application/x-git-receive-pack-request', 'content-encoding': 'gzip' };
    const body = new Blob([head, new Uint8Array(size)]).stream().pipeThrough(new CompressionStream('gzip'));
    const path = '/git/acme/shop.git/git-receive-pack';
    const response = await ask(path, { method: 'POST', headers, body }, env, { w: 'git-4' });
    expect(await response.text()).toBe('done');
    expect(arrived).toBe(head.byteLength + size);
    expect(encoding).toBeNull();
  });

  it('tells git that a push to another branch is refused, and the host does not see it', async () => {
    await store('git-5');
    const line = `${'0'.repeat(40)} ${'1'.repeat(40)} refs/heads/main\0report-status`;
    const body = `${(line.length + 4).toString(16).padStart(4, '0')}${line}0000PACK${'x'.repeat(1_000_000)}`;
    const headers = { 'content-type': 'application/x-git-receive-pack-request' };
    const path = '/git/acme/shop.git/git-receive-pack';
    const response = await ask(path, { method: 'POST', headers, body }, env, { w: 'git-5' });
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('ng refs/heads/main Cyrus: this session may push only cyrus/eng-1');
    expect(stage.sent).toEqual([]);
  });
});
