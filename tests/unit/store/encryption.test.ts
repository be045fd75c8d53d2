import { describe, expect, it } from 'vitest';
import { fromBase64Url, toBase64Url } from '../../../src/lib/base64url.ts';
import { DecryptionError, decryptText, deriveKey, encryptText } from '../../../src/store/encryption.ts';

const key = btoa('0123456789abcdef0123456789abcdef');
const otherKey = btoa('fedcba9876543210fedcba9876543210');
const seal = (plain: string) => encryptText(key, 'workspace-access-token', ['workspace-1'], plain);
const open = (stored: string) => decryptText(key, 'workspace-access-token', ['workspace-1'], stored);

describe('encryption at rest', () => {
  it('gives back exactly what was stored', async () => {
    for (const plain of ['lin_oauth_1', '', 'ключ 🔑', '\ufeffbom', 'x'.repeat(100_000)]) {
      expect(await open(await seal(plain))).toBe(plain);
    }
  });

  it('stores version, key id, IV and ciphertext, and never the same text twice', async () => {
    const [first, second] = [await seal('secret'), await seal('secret')];
    expect(first).toMatch(/^v1\.[\w-]{8}\.[\w-]{16}\.[\w-]+$/);
    expect(first).not.toBe(second);
    expect(first.split('.')[1]).toBe(second.split('.')[1]);
  });

  it('refuses a text that was copied to another row or used for another purpose', async () => {
    const stored = await seal('secret');
    await expect(decryptText(key, 'workspace-access-token', ['workspace-2'], stored)).rejects.toThrow(DecryptionError);
    await expect(decryptText(key, 'workspace-access-token', ['workspace', '1'], stored)).rejects.toThrow(
      DecryptionError,
    );
    await expect(decryptText(key, 'repository-credential', ['workspace-1'], stored)).rejects.toThrow(DecryptionError);
  });

  it('says when a text was encrypted with another ENCRYPTION_KEY', async () => {
    const stored = await encryptText(otherKey, 'workspace-access-token', ['workspace-1'], 'secret');
    await expect(open(stored)).rejects.toThrow(/another ENCRYPTION_KEY/);
  });

  it('refuses a text altered in any place', async () => {
    const stored = await seal('secret');
    for (let at = 0; at < stored.length; at++) {
      const altered = stored.slice(0, at) + (stored[at] === 'A' ? 'B' : 'A') + stored.slice(at + 1);
      await expect(open(altered), `character ${at}`).rejects.toThrow(DecryptionError);
    }
  });

  it.each(['', 'v1', 'v1...', 'plain text', 'v2.a.b.c', 'v1.a.b.c.d', `v1.${'A'.repeat(8)}.%%%.AAAA`])(
    'refuses %j as no encrypted text',
    async (stored) => {
      await expect(open(stored)).rejects.toThrow(DecryptionError);
    },
  );

  it('derives keys that cannot be taken out of the runtime', async () => {
    const derived = await deriveKey(key, 'gateway-token', 'sign');
    await expect(crypto.subtle.exportKey('raw', derived)).rejects.toThrow();
    expect(await deriveKey(key, 'gateway-token', 'sign')).toBe(derived);
  });
});

describe('base64url', () => {
  it('is read back only as it was written', () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
    expect(fromBase64Url(toBase64Url(bytes))).toEqual(bytes);
    for (const text of ['A', 'AB', 'AA==', 'A A', '+/', 'é']) expect(fromBase64Url(text), text).toBeNull();
    expect(fromBase64Url('AA')).toEqual(Uint8Array.of(0));
  });
});
