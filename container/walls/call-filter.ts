/**
 * System calls that no session may make, because what they reach lies outside of users and namespaces: keys of the kernel (a session's
 * programs inherit the server's session keyring, keyrings(7), and may be of one user with others) and typing into a terminal (TIOCSTI,
 * CVE-2017-5226). They fail with EPERM, as Docker has it. The filter is a program of the kernel's classic BPF (seccomp(2)), which
 * bubblewrap takes as a file. Calls for 32-bit programs and those of x32 have numbers of their own, so they are looked at as well.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

/** linux/audit.h, and the tables of system calls of each architecture. All of these are little-endian. */
interface Architecture {
  audit: number;
  /** add_key, request_key, keyctl. */
  keys: readonly [number, number, number];
  ioctl: number;
  /** Calls from this number on belong to another interface (x32). */
  foreignFrom?: number;
}
const X64: Architecture = { audit: 0xc000003e, keys: [248, 249, 250], ioctl: 16, foreignFrom: 0x40000000 };
const X86: Architecture = { audit: 0x40000003, keys: [286, 287, 288], ioctl: 54 };
const ARM64: Architecture = { audit: 0xc00000b7, keys: [217, 218, 219], ioctl: 29 };
const ARM: Architecture = { audit: 0x40000028, keys: [309, 310, 311], ioctl: 54 };
const MACHINES: Partial<Record<NodeJS.Architecture, readonly Architecture[]>> = {
  x64: [X64, X86],
  arm64: [ARM64, ARM],
};

/** TIOCSTI and TIOCLINUX (asm-generic/ioctls.h): both put characters in front of who reads a terminal. */
const TYPING = [0x5412, 0x541c];

/** linux/bpf_common.h: load a word, compare with a constant, return. */
const LOAD = 0x20;
const IF_EQUAL = 0x15;
const IF_AT_LEAST = 0x35;
const RETURN = 0x06;
/** linux/seccomp.h; EPERM is 1. */
const ALLOW = 0x7fff0000;
const REFUSE = 0x00050001;
const KILL = 0x80000000;
/** Offsets in `struct seccomp_data`: the number, the architecture, the lower half of the second argument. */
const NUMBER = 0;
const ARCHITECTURE = 4;
const SECOND_ARGUMENT = 24;

/** Code, where to go if it is so and if not (instructions to pass over), constant. */
type Instruction = readonly [code: number, yes: number, no: number, constant: number];

/**
 * The filter for programs of a machine.
 * @param machine as `process.arch` names it
 * @returns null for one whose numbers of system calls are not known here
 */
export function callFilter(machine: NodeJS.Architecture): Buffer | null {
  const architectures = MACHINES[machine];
  if (architectures === undefined) return null;
  const program: Instruction[] = [
    [LOAD, 0, 0, ARCHITECTURE],
    ...architectures.flatMap((one): Instruction[] => {
      const calls = callsOf(one);
      return [[IF_EQUAL, 0, calls.length, one.audit], ...calls];
    }),
    [RETURN, 0, 0, KILL],
  ];
  const bytes = Buffer.alloc(program.length * 8);
  for (const [at, [code, yes, no, constant]] of program.entries()) {
    bytes.writeUInt16LE(code, at * 8);
    bytes.writeUInt8(yes, at * 8 + 2);
    bytes.writeUInt8(no, at * 8 + 3);
    bytes.writeUInt32LE(constant, at * 8 + 4);
  }
  return bytes;
}

function callsOf({ keys, ioctl, foreignFrom }: Architecture): Instruction[] {
  const refuseIf = (code: number, constant: number): Instruction[] => [
    [code, 0, 1, constant],
    [RETURN, 0, 0, REFUSE],
  ];
  const typing: Instruction[] = [
    [LOAD, 0, 0, SECOND_ARGUMENT],
    ...TYPING.flatMap((request) => refuseIf(IF_EQUAL, request)),
  ];
  return [
    [LOAD, 0, 0, NUMBER],
    ...(foreignFrom === undefined ? [] : refuseIf(IF_AT_LEAST, foreignFrom)),
    ...keys.flatMap((key) => refuseIf(IF_EQUAL, key)),
    [IF_EQUAL, 0, typing.length, ioctl],
    ...typing,
    [RETURN, 0, 0, ALLOW],
  ];
}

/**
 * Has the filter lie in a file, for the server alone.
 * @returns whether there is one for this machine
 * @throws if it cannot be written
 */
export function writeCallFilter(file: string): boolean {
  const filter = callFilter(process.arch);
  if (filter === null) return false;
  if (existsSync(file) && readFileSync(file).equals(filter)) return true;
  const fresh = `${file}.${process.pid}`;
  writeFileSync(fresh, filter, { mode: 0o600 });
  renameSync(fresh, file);
  return true;
}

/** A program that bubblewrap starts behind the filter: it fails where the file cannot be read. @returns the whole command line */
export function filtered(file: string, [bubblewrap = 'bwrap', ...args]: readonly string[]): string[] {
  const descriptor = '9';
  const open = `exec ${descriptor}<"$1" || exit 125; shift; exec "$@"`;
  return ['sh', '-c', open, 'sh', file, bubblewrap, '--seccomp', descriptor, ...args];
}
