/** Files beside the repository: those a session is given, and those Claude shares. */
import { createHash } from 'node:crypto';
import { lstat, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { read } from '../../dev/claude/script.ts';
import { scripts } from '../../dev/claude/scripts.ts';
import { givenFileSchema, givenFilesSchema, MAX_GIVEN_BYTES } from '../../src/protocol/files.ts';
import { eventually, run, SERVER_SECRET, type Stage, setStage } from './stage.ts';

const ID = 'shop-1';
const PNG = Buffer.concat([
  Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
  Buffer.from('not many pixels'),
]);
const authorization = `Bearer ${SERVER_SECRET}`;

let stage: Stage;
beforeEach(async () => {
  stage = await setStage();
});
afterEach(() => stage.close());

/** A session whose worktree is ready. */
async function begin(): Promise<void> {
  await stage.start(ID);
  await stage.event('ready');
}

function put(name: string, body: BodyInit): Promise<Response> {
  const headers = { authorization, 'content-type': 'application/octet-stream' };
  return fetch(`${stage.url}/sessions/${ID}/files/${name}`, { method: 'PUT', headers, body });
}

async function list() {
  const answer = await fetch(`${stage.url}/sessions/${ID}/files`, { headers: { authorization } });
  return givenFilesSchema.parse(await answer.json()).files;
}

describe('a file that a session is given', () => {
  test('lies beside the worktree, byte for byte; Claude can read it, and it is never committed', async () => {
    await begin();
    const answer = await put('ab12-shot.png', PNG);
    expect(answer.status).toBe(201);
    const { path, bytes } = givenFileSchema.parse(await answer.json());
    expect(bytes).toBe(PNG.length);
    expect(await readFile(path)).toEqual(PNG);
    expect(path.startsWith(stage.worktree(ID))).toBe(false);
    expect(await list()).toEqual([{ name: 'ab12-shot.png', path, bytes: PNG.length }]);
    await stage.prompt(ID, run(`sha256sum ${path}`, 'echo done > done.txt'));
    const result = await stage.result();
    expect(JSON.stringify(result)).toContain(createHash('sha256').update(PNG).digest('hex'));
    const saved = await stage.event('saved');
    expect(saved.files.map((file) => file.path)).toEqual(['done.txt']);
  });

  test('is read without asking also if Claude has to ask for other things', async () => {
    scripts['read-file'] = function* (task) {
      const seen = yield* read(/(\/\S+\.txt)/.exec(task.prompt)?.[1] ?? '');
      return { text: seen.text };
    };
    await stage.start(ID, { claude: { permissions: { allow: ['Read'], ask: [], others: 'refuse' } } });
    await stage.event('ready');
    const { path } = givenFileSchema.parse(await (await put('ab12-log.txt', 'words of the log')).json());
    await stage.prompt(ID, `[script: read-file] ${path}`);
    expect(JSON.stringify(await stage.result())).toContain('words of the log');
  });

  test('replaces one of the same name, and stays over a restart of the server', async () => {
    await begin();
    await put('ab12-log.txt', 'first');
    await put('ab12-log.txt', 'second');
    await stage.restart();
    const [file, ...more] = await list();
    expect(more).toEqual([]);
    expect(await readFile(file?.path ?? '', 'utf8')).toBe('second');
  });

  test('is refused under a name that would become another path', async () => {
    await begin();
    for (const name of [
      '..',
      '.hidden',
      '-option',
      '..%2F..%2Fescaped',
      '%2e%2e%2fescaped',
      'a b',
      'ä',
      'x'.repeat(129),
    ]) {
      expect([400, 404, 405], name).toContain((await put(name, 'x')).status);
    }
    expect((await put('sub/file.txt', 'x')).status).toBe(404);
    expect(await list()).toEqual([]);
    expect(await readdir(join(stage.root, 'sessions'))).toEqual([ID]);
  });

  test('is refused when it is too large, announced or endless, and nothing of it stays', async () => {
    await begin();
    expect(await putRaw('1gb.png', { 'content-length': String(1024 ** 3) }, [Buffer.alloc(1024)])).toBe(413);
    const endless = function* () {
      for (let sent = 0; sent < MAX_GIVEN_BYTES * 4; sent += 65_536) yield Buffer.alloc(65_536);
    };
    expect(await putRaw('endless.png', {}, endless())).toBe(413);
    expect(await readdir(join(stage.sessionDir(ID), 'files'))).toEqual([]);
  });

  test('that breaks off on the way is not there', async () => {
    await begin();
    await expect(putRaw('broken.png', { 'content-length': '1000' }, [Buffer.alloc(10)], true)).rejects.toThrow();
    await eventually(
      async () => (await readdir(join(stage.sessionDir(ID), 'files')).catch(() => ['?'])).length === 0,
      'the folder to be empty',
    );
  });

  test('does not go through a link that was put in place of the folder', async () => {
    await begin();
    const elsewhere = join(stage.root, 'elsewhere');
    await mkdir(elsewhere);
    await symlink(elsewhere, join(stage.sessionDir(ID), 'files'));
    expect((await put('ab12-shot.png', PNG)).status).toBe(201);
    expect(await readdir(elsewhere)).toEqual([]);
    expect(await list()).toHaveLength(1);
  });

  test('is refused for a session that nobody started, and without the secret', async () => {
    expect((await put('ab12-shot.png', PNG)).status).toBe(404);
    await begin();
    const url = `${stage.url}/sessions/${ID}/files/ab12-shot.png`;
    expect((await fetch(url, { method: 'PUT', body: PNG })).status).toBe(401);
    expect(await list()).toEqual([]);
  });
});

describe('the share folder', () => {
  const make = [
    'cd "$CYRUS_SHARE"',
    'printf "\\x89PNG\\r\\n\\x1a\\nnot many pixels" > shot.png',
    'printf "one\\ntwo\\n" > words.txt',
  ];

  test('is stored at the gateway after the turn, and told with the save; each file is sent once', async () => {
    await begin();
    await stage.prompt(ID, run(make.join(' && ')));
    const saved = await stage.event('saved');
    const hash = createHash('sha256').update(PNG).digest('hex');
    expect(saved.problem).toBeUndefined();
    expect(saved.shared).toContainEqual({ name: 'shot.png', hash, bytes: PNG.length, type: 'image/png' });
    expect(saved.shared).toHaveLength(2);
    expect(stage.gateway.shared.find((file) => file.hash === hash)?.content).toEqual(PNG);
    expect(saved.files).toEqual([]);
    await stage.prompt(ID, run('echo more > "$CYRUS_SHARE/more.txt"'), 2);
    const second = await stage.event('saved', (event) => event.turn === 2);
    expect(second.shared).toHaveLength(3);
    expect(stage.gateway.shared).toHaveLength(3);
  });

  test('gives away nothing but regular files: no link, pipe, folder, huge or unknown file; it is said once', async () => {
    await begin();
    const folder = join(stage.sessionDir(ID), 'share');
    await symlink('/etc/passwd', join(folder, 'passwd.txt'));
    await symlink(join(stage.sessionDir(ID), 'session.json'), join(folder, 'session.txt'));
    await mkdir(join(folder, 'folder'));
    await writeFile(join(folder, 'huge.txt'), Buffer.alloc(11 * 1024 * 1024, 'x'));
    await writeFile(join(folder, 'program.bin'), Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0, 0, 0, 1]));
    await writeFile(join(folder, 'with space](evil).png'), PNG);
    await writeFile(join(folder, 'empty.txt'), '');
    await stage.prompt(ID, run(`mkfifo "$CYRUS_SHARE/pipe.txt" && ${make.join(' && ')}`));
    const saved = await stage.event('saved');
    expect(saved.shared?.map(({ name }) => name).sort()).toEqual(['shot.png', 'words.txt']);
    expect(stage.gateway.shared).toHaveLength(2);
    for (const name of ['passwd.txt', 'session.txt', 'folder', 'pipe.txt', 'huge.txt', 'program.bin', 'empty.txt']) {
      expect(saved.problem).toContain(`share/${name} was not shared: `);
    }
    await stage.prompt(ID, run('echo again'), 2);
    expect((await stage.event('saved', (event) => event.turn === 2)).problem).toBeUndefined();
    expect((await lstat(join(folder, 'pipe.txt'))).isFIFO()).toBe(true);
  });

  test('that was replaced by a link to another folder is empty', async () => {
    await begin();
    await stage.prompt(ID, run('rm -rf "$CYRUS_SHARE" && ln -s /etc "$CYRUS_SHARE"'));
    const saved = await stage.event('saved');
    expect(saved.shared).toBeUndefined();
    expect(stage.gateway.shared).toEqual([]);
  });
});

/** Sends a body as it is. @param breakOff ends the connection after it. @returns the status */
function putRaw(
  name: string,
  headers: Record<string, string>,
  body: Iterable<Buffer>,
  breakOff = false,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      `${stage.url}/sessions/${ID}/files/${name}`,
      { method: 'PUT', headers: { authorization, 'content-type': 'application/octet-stream', ...headers } },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
        request.destroy();
      },
    );
    request.on('error', reject);
    const pieces = body[Symbol.iterator]();
    const more = () => {
      for (;;) {
        const { done, value } = pieces.next();
        if (done || !value) {
          if (breakOff) setTimeout(() => request.destroy(), 50);
          else if (!headers['content-length']) request.end();
          return;
        }
        if (!request.write(value)) {
          request.once('drain', more);
          return;
        }
      }
    };
    more();
  });
}
