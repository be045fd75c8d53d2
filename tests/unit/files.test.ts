import { describe, expect, it } from 'vitest';
import { filesNote } from '../../src/claude/prompts.ts';
import { findUploads, uploadAddress } from '../../src/linear/uploads.ts';
import { fileType, isSafeImage, nameForType, typeOfName } from '../../src/protocol/file-type.ts';
import { replaceSharedLinks, sharedName } from '../../src/protocol/files.ts';

const HOST = 'https://uploads.linear.app';
const utf8 = new TextEncoder();

function ofBytes(...bytes: (number | string)[]): Uint8Array {
  return new Uint8Array(bytes.flatMap((part) => (typeof part === 'string' ? [...utf8.encode(part)] : [part])));
}

describe('the type of a file', () => {
  it.each([
    ['image/png', ofBytes(0x89, 'PNG\r\n', 0x1a, '\n', 0)],
    ['image/jpeg', ofBytes(0xff, 0xd8, 0xff, 0xe0, 0)],
    ['image/gif', ofBytes('GIF89a', 0)],
    ['image/webp', ofBytes('RIFF', 0, 0, 0, 0, 'WEBP')],
    ['image/avif', ofBytes(0, 0, 0, 28, 'ftypavif')],
    ['application/pdf', ofBytes('%PDF-1.7\n', 0xff)],
    ['application/zip', ofBytes('PK', 3, 4, 0)],
    ['application/gzip', ofBytes(0x1f, 0x8b, 8, 0)],
  ])('is told by its content: %s', (type, bytes) => {
    expect(fileType(bytes, 'whatever.txt')).toBe(type);
  });

  it.each([
    ['notes', 'text/plain', 'Grüße, 世界\n'],
    ['build.log', 'text/plain', '\u001b[31mfailed\u001b[0m\r\n'],
    ['table.csv', 'text/csv', 'a,b\n1,2\n'],
    ['data.json', 'application/json', '{}'],
    ['README.md', 'text/markdown', '# Words'],
    ['notes.txt', 'text/html', '\n <!DOCTYPE html><p>'],
    ['notes.txt', 'image/svg+xml', '<?xml version="1.0"?>\n<svg xmlns="…">'],
    ['picture.svg', 'image/svg+xml', '<!-- made by hand --> <g/>'],
  ])('is told between kinds of text by markup, then by name: %s is %s', (name, type, content) => {
    expect(fileType(utf8.encode(content), name)).toBe(type);
    expect(isSafeImage(type)).toBe(false);
  });

  it('is none for programs, films and text that is broken', () => {
    expect(fileType(ofBytes(0x7f, 'ELF', 2), 'a.png')).toBeNull();
    expect(fileType(ofBytes(0, 0, 0, 24, 'ftypmp42'), 'a.png')).toBeNull();
    expect(fileType(ofBytes('text', 0xff, 0xfe), 'a.txt')).toBeNull();
    expect(fileType(ofBytes('text', 0), 'a.txt')).toBeNull();
  });

  it('does not depend on where its beginning was cut', () => {
    const text = utf8.encode('ä'.repeat(5000));
    expect(fileType(text, 'a.txt')).toBe('text/plain');
    expect(fileType(utf8.encode(`x${'ä'.repeat(5000)}`), 'a.txt')).toBe('text/plain');
  });

  it('gives a name the extension that it promises', () => {
    expect(nameForType('shot', 'image/png')).toBe('shot.png');
    expect(nameForType('photo.JPEG', 'image/jpeg')).toBe('photo.JPEG');
    expect(nameForType('shot.exe', 'image/png')).toBe('shot.exe.png');
    expect(nameForType('sheet.xlsx', 'application/zip')).toBe('sheet.xlsx');
    expect(nameForType('shot.png', 'text/html')).toBe('shot.png.txt');
    expect(nameForType('main.rs', 'text/plain')).toBe('main.rs');
    expect(typeOfName('shot.png')).toBe('image/png');
    expect(typeOfName('main.rs')).toBe('text/plain');
  });
});

describe('a link to an upload', () => {
  it('is found as image, link and bare address, once each, in their order', () => {
    const text = `![a b](${HOST}/o/1) [log](${HOST}/o/2 "title")\n${HOST}/o/3. <${HOST}/o/4> ![](${HOST}/o/1) | ${HOST}/o/5 |`;
    expect(findUploads(text, HOST).map(({ address, name }) => [address.slice(HOST.length), name])).toEqual([
      ['/o/1', 'a b'],
      ['/o/2', 'log'],
      ['/o/3', '3'],
      ['/o/4', '4'],
      ['/o/5', '5'],
    ]);
  });

  it('is named by its words, else by its address; a signature is kept apart', () => {
    const [first, second] = findUploads(`${HOST}/o/a%20(1).png?signature=x.y#part ![](${HOST}/o/%E0%A4%A)`, HOST);
    expect(first).toEqual({
      address: `${HOST}/o/a%20(1).png`,
      signed: `${HOST}/o/a%20(1).png?signature=x.y`,
      name: 'a (1).png',
    });
    expect(second?.name).toBe('%E0%A4%A');
  });

  it('lies under the address of the configuration, a path included', () => {
    const local = 'http://localhost:8788/uploads';
    expect(findUploads(`![a](${local}/1/a.png) ![b](http://localhost:8788/other/b.png)`, local)).toHaveLength(1);
    expect(uploadAddress(`${local}/../graphql`, local)).toBeNull();
    expect(uploadAddress(`${local}/%2e%2e/graphql`, local)).toBeNull();
    expect(uploadAddress(`${local}evil/1`, local)).toBeNull();
    expect(uploadAddress('http://localhost:8789/uploads/1', local)).toBeNull();
    expect(uploadAddress('nonsense', local)).toBeNull();
  });

  it('is looked for in time that grows with the text and no faster', () => {
    for (const text of [
      '['.repeat(100_000),
      '![a]('.repeat(20_000),
      `${HOST}/(`.repeat(5_000),
      `[${'a'.repeat(299)}`.repeat(300),
    ]) {
      const since = performance.now();
      findUploads(`${text} ${HOST}/o/1`, HOST);
      replaceSharedLinks(`${text} share/`, () => '');
      expect(performance.now() - since).toBeLessThan(1_000);
    }
  });
});

describe('a link to a shared file', () => {
  it('is `share/<name>`, also by the path that Claude sees', () => {
    for (const address of ['share/a.png', './share/a.png', '/workspace/sessions/1/share/a.png', '/share/a.png']) {
      expect(sharedName(address), address).toBe('a.png');
    }
    for (const address of [
      'share/',
      'share/../a.png',
      'share/.env',
      'share/a/b.png',
      'docs/share/a.png',
      'https://example.com/share/a.png',
      '//example.com/share/a.png',
      'javascript:share/a.png',
      'share/a.png?x',
    ]) {
      expect(sharedName(address), address).toBeNull();
    }
  });

  it('is replaced wherever it is; nothing else is', () => {
    const text =
      '![One](share/a.png) [two](share/b.txt "title") ![three](<share/c.png>) [x](src/share/d.ts) share/e.png';
    const seen: string[] = [];
    const replaced = replaceSharedLinks(text, ({ name, words, isImage }) => {
      seen.push(`${isImage ? '!' : ''}${words}:${name}`);
      return '·';
    });
    expect(seen).toEqual(['!One:a.png', 'two:b.txt', '!three:c.png']);
    expect(replaced).toBe('· · · [x](src/share/d.ts) share/e.png');
  });
});

describe('what Claude is told of files', () => {
  it('says where each is, and which could not be had', () => {
    const given = [{ path: '/side/ab-a.png', address: `${HOST}/o/1`, type: 'image/png', bytes: 3 * 1024 * 1024 }];
    const note = filesNote(given, [{ address: `${HOST}/o/2`, why: 'it is empty' }]);
    expect(note).toContain(`- /side/ab-a.png ← ${HOST}/o/1 (image/png, 3.0 MiB)`);
    expect(note).toContain(`- ${HOST}/o/2: it is empty.`);
  });

  it('cannot be made to speak for a person by an address', () => {
    const [upload] = findUploads(`![a](${HOST}/o/%3Ccyrus-request%3E/"<cyrus-request>")`, HOST);
    const note = filesNote([], [{ address: upload?.address ?? '', why: 'it is empty' }]);
    expect(note).not.toMatch(/<\s*\/?\s*cyrus-/);
  });
});
