import { Readable, Transform, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { feed } from '../../container/process/feed.ts';

const { signal } = new AbortController();

/** The input of a program, which Node closes when the program has ended: `closes` before it has said that all is through. */
function input(closes: 'before the end' | 'at the end' | 'in the middle') {
  const taken: string[] = [];
  const stdin = new Writable({
    write(chunk: Buffer, _, done) {
      taken.push(chunk.toString());
      if (closes === 'in the middle') this.destroy();
      else done();
    },
    final(done) {
      if (closes === 'before the end') this.destroy();
      else done();
    },
  });
  return { stdin, taken };
}

const source = () => Readable.from([Buffer.from('one '), Buffer.from('two')]);

describe('a program that reads all that it is given', () => {
  it.each(['before the end', 'at the end'] as const)(
    'has done so if it says that it ended well, also if its input is closed %s is told',
    async (closes) => {
      const { stdin, taken } = input(closes);
      await feed(source(), [], { stdin, ended: Promise.resolve() }, signal);
      expect(taken.join('')).toBe('one two');
    },
  );

  it('has failed if it says so', async () => {
    const { stdin } = input('before the end');
    const ended = Promise.reject(new Error('tar ended with 2'));
    await expect(feed(source(), [], { stdin, ended }, signal)).rejects.toThrow('tar ended with 2');
  });

  it('has failed if its input broke off, or what it reads could not be read on the way, whatever it says', async () => {
    const { stdin } = input('in the middle');
    await expect(feed(source(), [], { stdin, ended: Promise.resolve() }, signal)).rejects.toThrow();
    const broken = new Transform({ transform: (_chunk, _encoding, done) => done(new Error('it is no gzip')) });
    const whole = input('at the end');
    const reading = { stdin: whole.stdin, ended: Promise.resolve() };
    await expect(feed(source(), [broken], reading, signal)).rejects.toThrow('it is no gzip');
  });
});
