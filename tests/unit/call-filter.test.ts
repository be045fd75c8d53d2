import { describe, expect, test } from 'vitest';
import { callFilter } from '../../container/walls/call-filter.ts';

const EPERM = 0x00050001;
const ALLOWED = 0x7fff0000;
const KILLED = 0x80000000;
const [X64, X86, ARM64, ARM] = [0xc000003e, 0x40000003, 0xc00000b7, 0x40000028];

/** Runs the filter as the kernel would (the part of classic BPF that it uses). */
function verdict(machine: 'x64' | 'arm64', call: { audit: number; number: number; second?: number }): number {
  const program = callFilter(machine) ?? Buffer.alloc(0);
  const data = Buffer.alloc(64);
  data.writeUInt32LE(call.number, 0);
  data.writeUInt32LE(call.audit, 4);
  data.writeUInt32LE(call.second ?? 0, 24);
  let loaded = 0;
  for (let at = 0; at < program.length; at += 8) {
    const constant = program.readUInt32LE(at + 4);
    const code = program.readUInt16LE(at);
    if (code === 0x06) return constant;
    if (code === 0x20) loaded = data.readUInt32LE(constant);
    else {
      const isSo = code === 0x15 ? loaded === constant : loaded >= constant;
      at += 8 * program.readUInt8(at + (isSo ? 2 : 3));
    }
  }
  throw new Error('the filter ends without a verdict');
}

describe('a session may make no system call', () => {
  test.each([
    ['x64', X64, [248, 249, 250]],
    ['x64', X86, [286, 287, 288]],
    ['arm64', ARM64, [217, 218, 219]],
    ['arm64', ARM, [309, 310, 311]],
  ] as const)('that keeps or reads keys of the kernel (%s, architecture %i)', (machine, audit, numbers) => {
    for (const number of numbers) expect(verdict(machine, { audit, number })).toBe(EPERM);
    for (const number of [0, 1, 59, 221, 247, 251, 285, 289, 308, 312, 400])
      if (!(numbers as readonly number[]).includes(number)) expect(verdict(machine, { audit, number })).toBe(ALLOWED);
  });

  test.each([
    ['x64', X64, 16],
    ['x64', X86, 54],
    ['arm64', ARM64, 29],
    ['arm64', ARM, 54],
  ] as const)('that types into a terminal (%s, architecture %i)', (machine, audit, number) => {
    expect(verdict(machine, { audit, number, second: 0x5412 })).toBe(EPERM);
    expect(verdict(machine, { audit, number, second: 0x541c })).toBe(EPERM);
    // How a program asks for the size of its window.
    expect(verdict(machine, { audit, number, second: 0x5413 })).toBe(ALLOWED);
  });

  test('by numbers of another interface, or as a program of another architecture', () => {
    expect(verdict('x64', { audit: X64, number: 0x40000000 + 250 })).toBe(EPERM);
    expect(verdict('x64', { audit: ARM64, number: 1 })).toBe(KILLED);
    expect(callFilter('riscv64')).toBeNull();
  });
});
