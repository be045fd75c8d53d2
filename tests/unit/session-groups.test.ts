import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { type GroupKernel, ownGroups, SessionGroups } from '../../container/walls/session-groups.ts';
import { findWalls, limitsInWords } from '../../container/walls/walls.ts';

const UNIFIED = '29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n';
const FIRST_VERSION = [
  '31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755',
  '32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct',
  '35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory',
  '39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids',
  '41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw',
].join('\n');

describe('the groups of the server', () => {
  test('are found by what the kernel says of mounts and memberships', () => {
    const of = (mounts: string, memberships: string, without = '') =>
      ownGroups(mounts, memberships, (folder) => folder !== without);
    expect(of(UNIFIED, '0::/system.slice/cyrus.service\n')).toEqual({
      version: 2,
      folders: ['/sys/fs/cgroup/system.slice/cyrus.service'],
    });
    // A restart in the same process finds itself where it has moved to.
    expect(of(UNIFIED, '0::/system.slice/cyrus.service/cyrus-server\n')?.folders).toEqual([
      '/sys/fs/cgroup/system.slice/cyrus.service',
    ]);
    // A container that sees a part of the machine's groups.
    const part = UNIFIED.replace(' / /sys', ' /docker/a1 /sys');
    expect(of(part, '0::/docker/a1/inner\n')?.folders).toEqual(['/sys/fs/cgroup/inner']);
    const both = '39:pids:/\n4:memory:/job/7\n2:cpu,cpuacct:/\n0::/\n';
    expect(of(FIRST_VERSION, both, '/sys/fs/cgroup/unified')).toEqual({
      version: 1,
      folders: ['/sys/fs/cgroup/memory/job/7', '/sys/fs/cgroup/pids'],
    });
  });

  test('are none if nothing bounds memory', () => {
    expect(ownGroups(UNIFIED, '0::/\n', () => false)).toBeNull();
    expect(ownGroups('', '', () => true)).toBeNull();
  });
});

describe('the second version of the kernel’s groups', () => {
  const folders: string[] = [];
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  });

  /** A tree as the kernel shows it, of plain files. @param isBusy whether controllers may not be handed down now */
  function machine(isBusy: (own: string) => boolean = () => false) {
    const tree = mkdtempSync(join(tmpdir(), 'cyrus-groups-'));
    folders.push(tree);
    const own = join(tree, 'system.slice/cyrus.service');
    mkdirSync(own, { recursive: true });
    writeFileSync(join(own, 'cgroup.controllers'), 'cpu memory pids\n');
    writeFileSync(join(own, 'cgroup.subtree_control'), '\n');
    const written: string[] = [];
    const kernel: GroupKernel = {
      mounts: `29 23 0:26 / ${tree} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n`,
      memberships: '0::/system.slice/cyrus.service\n',
      write: (file, text) => {
        if (file.endsWith('subtree_control') && isBusy(own)) {
          throw Object.assign(new Error('EBUSY: resource busy or locked, write'), { code: 'EBUSY' });
        }
        written.push(`${relative(own, file)} ${text}`);
        writeFileSync(file, text);
      },
    };
    /** The kernel makes a group's files with its folder. */
    const withFiles = (name: string) => {
      const folder = join(own, name);
      mkdirSync(folder, { recursive: true });
      for (const file of ['memory.max', 'memory.swap.max', 'pids.max']) writeFileSync(join(folder, file), 'max\n');
      return folder;
    };
    return { own, written, kernel, withFiles };
  }

  const limits = { memoryBytes: 3 * 1024 ** 3, processes: 512 };
  const root = '/srv/one';

  test('bounds memory, swap and processes of a session, whose programs begin in its group', () => {
    const { own, written, kernel, withFiles } = machine();
    const groups = SessionGroups.find(root, limits, kernel);
    if (!(groups instanceof SessionGroups)) throw new Error(groups.why);
    expect(written[0]).toBe('cgroup.subtree_control +memory +pids');
    const [, name = ''] = /(cyrus-[0-9a-f]{8})-probe/.exec(readdirSync(own).join()) ?? [];
    const folder = withFiles(`${name}-one`);
    groups.open('one');
    const limitOf = (file: string) => readFileSync(join(folder, file), 'utf8');
    expect(['memory.max', 'memory.swap.max', 'pids.max'].map(limitOf)).toEqual([String(3 * 1024 ** 3), '0', '512']);
    const [program = '', ...args] = groups.inside('one', ['sh', '-c', 'echo "$$ $0"', 'a b']);
    const said = execFileSync(program, args, { encoding: 'utf8' }).trim();
    // The process itself, not one that it begins.
    expect(`${readFileSync(join(folder, 'cgroup.procs'), 'utf8').trim()} a b`).toBe(said);
  });

  test('begins no program that cannot enter its group', () => {
    const { kernel, own } = machine();
    const groups = SessionGroups.find(root, limits, kernel);
    if (!(groups instanceof SessionGroups)) throw new Error(groups.why);
    const [program = '', ...args] = groups.inside('gone', ['sh', '-c', `echo ran > '${join(own, 'ran')}'`]);
    expect(() => execFileSync(program, args, { stdio: 'ignore' })).toThrow();
    expect(readdirSync(own)).not.toContain('ran');
  });

  test('has the server move into a group of its own if the one it is in may hand nothing down', () => {
    const isAlone = (own: string) => existsSync(join(own, 'cyrus-server/cgroup.procs'));
    const { written, kernel } = machine((own) => !isAlone(own));
    expect(SessionGroups.find(root, limits, kernel)).toBeInstanceOf(SessionGroups);
    expect(written.slice(0, 2)).toEqual([
      `cyrus-server/cgroup.procs ${process.pid}`,
      'cgroup.subtree_control +memory +pids',
    ]);
  });

  test('is left as it was if others are in the server’s group, and the server says why', () => {
    const { written, kernel } = machine(() => true);
    const groups = SessionGroups.find(root, limits, kernel);
    expect(groups).toEqual({ why: expect.stringContaining('EBUSY') });
    expect(written.at(-1)).toBe(`cgroup.procs ${process.pid}`);
  });

  test('keeps the groups of another server on the machine', () => {
    const { own, kernel } = machine();
    mkdirSync(join(own, 'cyrus-00000000-other'));
    expect(SessionGroups.find(root, limits, kernel)).toBeInstanceOf(SessionGroups);
    const [, name = ''] = /(cyrus-[0-9a-f]{8})-probe/.exec(readdirSync(own).join()) ?? [];
    mkdirSync(join(own, `${name}-left`));
    expect(SessionGroups.find(root, limits, kernel)).toBeInstanceOf(SessionGroups);
    expect(readdirSync(own)).toContain('cyrus-00000000-other');
    expect(readdirSync(own)).not.toContain(`${name}-left`);
  });
});

test.runIf(process.getuid?.() === 0)(
  'a server that runs as root has no walls by namespaces alone, in which sessions would be root',
  () => {
    const limits = { processes: 100, memoryBytes: 1024 ** 3, sessionBytes: 3 * 1024 ** 3 };
    const walls = findWalls({ setting: 'namespaces', root: '/srv', claudeBin: '/bin/true', hidden: [], limits });
    expect(walls).toMatchObject({ kind: 'none', hasView: false, why: expect.stringContaining('CYRUS_WALLS=users') });
  },
);

describe('the limits of a session', () => {
  const limits = { processes: 100, memoryBytes: 1024 ** 3, sessionBytes: 3 * 1024 ** 3 };
  const options = { setting: 'none' as const, root: '/srv', claudeBin: '/bin/true', hidden: [], limits };

  test('are said as they are', () => {
    expect(limitsInWords(findWalls(options))).toBe('none: sessions share what the machine has');
    const groups = { why: 'no groups' };
    const bounded = {
      kind: 'users' as const,
      hasView: true,
      why: null,
      options,
      groups,
      callFilter: null,
      firstUser: null,
    };
    expect(limitsInWords(bounded)).toBe(
      '100 processes a session, 1024 MiB of memory a process; none for the memory of a session as a whole: no groups',
    );
  });

  test('hold for all of its processes together, if the server may make groups', () => {
    const groups = SessionGroups.find(`/srv/${randomUUID()}`, { memoryBytes: 64 * 1024 ** 2, processes: 64 });
    if (!(groups instanceof SessionGroups)) {
      // The server says so at its start.
      expect(groups.why).not.toBe('');
      return;
    }
    groups.open('one');
    const runs = (script: string) => {
      const [program = '', ...args] = groups.inside('one', ['sh', '-c', script]);
      return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    };
    expect(runs('cat /proc/self/cgroup')).toMatch(/cyrus-[0-9a-f]{8}-one/);
    // It holds a buffer of that size as long as it copies.
    const hold = (mebibytes: number, times: number) => `dd if=/dev/zero of=/dev/null bs=${mebibytes}M count=${times}`;
    expect(runs(`${hold(40, 2)}; echo "ended by $?"`)).toBe('ended by 0\n');
    expect(runs(`${hold(100, 2)}; echo "ended by $?"`)).toBe('ended by 137\n');
    // Each of them fits, both do not.
    const both = `${hold(40, 200)} & a=$!; ${hold(40, 200)} & b=$!; wait $a; x=$?; wait $b; echo "$x $?"`;
    expect(runs(both)).toContain('137');
    groups.close('one');
    expect(() => runs('true')).toThrow();
    // The server's own git may have to begin in it once more.
    groups.reopen('one');
    expect(runs('echo again')).toBe('again\n');
    groups.close('one');
  });
});
