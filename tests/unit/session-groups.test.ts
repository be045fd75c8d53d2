import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { ownGroups, SessionGroups } from '../../container/walls/session-groups.ts';
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

  test('are none where nothing bounds memory', () => {
    expect(ownGroups(UNIFIED, '0::/\n', () => false)).toBeNull();
    expect(ownGroups('', '', () => true)).toBeNull();
  });
});

describe('the limits of a session', () => {
  const limits = { processes: 100, memoryBytes: 1024 ** 3, sessionBytes: 3 * 1024 ** 3 };
  const options = { setting: 'none' as const, root: '/srv', claudeBin: '/bin/true', hidden: [], limits };

  test('are said as they are', () => {
    expect(limitsInWords(findWalls(options))).toBe('none: sessions share what the machine has');
    const bounded = { kind: 'users' as const, hasView: true, why: null, options, groups: { why: 'no groups' } };
    expect(limitsInWords(bounded)).toBe(
      '100 processes a session, 1024 MiB of memory a process; none for the memory of a session as a whole: no groups',
    );
  });

  test('hold for all of its processes together, where the server may make groups', () => {
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
  });
});
