import { expect, it } from 'vitest';
import { JsonReader, type JsonVisitor, NotJson } from '../../../src/gateway/claude/json-reader.ts';
import { Random } from '../support/random.ts';

/** Builds the value again from what the reader tells, so that it can be held against JSON.parse. */
class Builder implements JsonVisitor {
  readonly #stack: { value: Record<string, unknown> | unknown[]; member: string }[] = [];
  result: unknown;

  open(kind: 'object' | 'array') {
    this.#stack.push({ value: kind === 'object' ? Object.create(null) : [], member: '' });
  }
  close() {
    this.#put(this.#stack.pop()?.value);
  }
  member(name: string) {
    const open = this.#stack.at(-1);
    if (open) open.member = name;
  }
  scalar(value: string | number | boolean | null) {
    this.#put(value);
  }
  wantsText() {
    return true;
  }
  #put(value: unknown) {
    const open = this.#stack.at(-1);
    if (!open) this.result = value;
    else if (Array.isArray(open.value)) open.value.push(value);
    else open.value[open.member] = value;
  }
}

/** What the reader makes of bytes that come in pieces of these sizes, in turn. */
function read(bytes: Uint8Array, sizes: number[]): unknown {
  const builder = new Builder();
  const reader = new JsonReader(builder);
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    reader.take(bytes.subarray(at, at + size));
    at += size;
  }
  reader.end();
  return builder.result;
}

const utf8 = new TextEncoder();
const samples = [
  '{"model":"claude-sonnet-5-5","messages":[{"role":"user","content":[{"type":"text","text":"a \\"quoted\\" \\\\ one"}]}]}',
  ' [ 1 , -2.5e+3 , true , false , null , "" , "\\\\" , "\\\\\\"" , {} , [] , {"a":{"b":[{}]}} ] ',
  '{"\\u0061":"\\ud83d\\ude00 ü 日本語","empty":"","n":0,"deep":[[[[[["x"]]]]]]}',
  '"alone"',
  '12',
];

it('the JSON reader reads what JSON.parse reads, however the bytes are cut', () => {
  for (const sample of samples) {
    for (const sizes of [[1], [2, 3], [7], [1, 64], [4096]]) {
      expect(read(utf8.encode(sample), sizes), sample).toEqual(JSON.parse(sample));
    }
  }
});

it('the JSON reader refuses what JSON.parse refuses: 5,000 texts with a byte changed, taken out or put in', () => {
  const random = new Random(7);
  const alphabet = utf8.encode('{}[]",:\\ \n0123456789.eE+-truefalsn/abu');
  for (let round = 0; round < 5_000; round += 1) {
    const bytes = [...utf8.encode(random.pick(samples))];
    const at = random.below(bytes.length);
    const byte = random.pick([...alphabet]);
    const kind = random.below(3);
    bytes.splice(at, kind === 2 ? 0 : 1, ...(kind === 1 ? [] : [byte]));
    const mutated = Uint8Array.from(bytes);
    let expected: { value: unknown } | null = null;
    try {
      expected = { value: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(mutated)) };
    } catch {
      // Not JSON.
    }
    let got: { value: unknown } | null = null;
    let problem = '';
    try {
      got = { value: read(mutated, [1 + random.below(9)]) };
    } catch (error) {
      if (!(error instanceof NotJson)) throw error;
      problem = error.message;
    }
    const shown = new TextDecoder().decode(mutated);
    if (got) expect(expected, shown).toEqual(got);
    // A member that is named twice is all that only this reader refuses.
    else if (expected) expect(problem, shown).toContain('twice');
  }
});

it('the JSON reader refuses an object that names a member twice, also if one of them is written with escapes', () => {
  for (const twice of ['{"a":1,"a":2}', '{"a":1,"\\u0061":2}', '[{"b":{"c":1,"c":1}}]']) {
    expect(() => read(utf8.encode(twice), [3]), twice).toThrow(NotJson);
  }
  expect(read(utf8.encode('{"a":{"a":{"a":1}}}'), [3])).toEqual({ a: { a: { a: 1 } } });
});

it('the JSON reader refuses levels, names and numbers without an end, instead of keeping them', () => {
  for (const endless of ['['.repeat(10_000), `{"${'n'.repeat(20_000)}":1}`, '1'.repeat(10_000)]) {
    expect(() => read(utf8.encode(endless), [512])).toThrow(NotJson);
  }
});
