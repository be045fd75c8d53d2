import { createVerify, generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { AppKeyError, importAppKey, signAppToken } from '../../../src/github/app-key.ts';

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pkcs1 = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const now = Date.UTC(2026, 10, 1, 12);

describe("a GitHub App's key", () => {
  it.each([
    ['as GitHub gives it out (PKCS#1)', pkcs1],
    ['converted to PKCS#8', pkcs8],
    ['with its line breaks written out, as some stores of secrets do', pkcs1.replaceAll('\n', '\\n')],
    ['with Windows line ends', pkcs8.replaceAll('\n', '\r\n')],
    ['with text around it', `# the key\n${pkcs1}\n`],
  ])('is read %s, and signs', async (_, pem) => {
    const jwt = await signAppToken(await importAppKey(pem), '1001', now);
    const [header = '', claims = '', signature = ''] = jwt.split('.');
    const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString());
    expect(read(header)).toEqual({ alg: 'RS256', typ: 'JWT' });
    expect(read(claims)).toEqual({ iat: now / 1000 - 60, exp: now / 1000 + 540, iss: '1001' });
    const verifier = createVerify('RSA-SHA256').update(`${header}.${claims}`);
    expect(verifier.verify(publicKey, Buffer.from(signature, 'base64url'))).toBe(true);
  });

  it.each([
    ['that is none', 'ghp_notakey', /not an RSA private key/],
    ['that is a public one', publicKey.export({ type: 'spki', format: 'pem' }).toString(), /not an RSA private key/],
    ['that lost a line', pkcs1.split('\n').toSpliced(5, 1).join('\n'), /damaged/],
    ['that is empty', '', /not an RSA private key/],
  ])('%s is refused with a message that says what to store, and repeats nothing of it', async (_, pem, words) => {
    const error = await importAppKey(pem).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(AppKeyError);
    const { message } = error as AppKeyError;
    expect(message).toMatch(words);
    expect(message).not.toContain(pem.split('\n')[3] || 'ghp_notakey');
  });
});
