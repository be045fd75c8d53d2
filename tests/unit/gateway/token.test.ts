import { describe, expect, it } from 'vitest';
import { type Claims, mintToken, TOKEN_PREFIX, TOKEN_TTL_MS, verifyToken } from '../../../src/gateway/token.ts';

const config = { encryptionKey: btoa('0123456789abcdef0123456789abcdef') };
const other = { encryptionKey: btoa('fedcba9876543210fedcba9876543210') };
const claims: Claims = { s: 'a'.repeat(64), w: 'workspace', r: 'acme/shop', b: 'cyrus/eng-1', g: 3 };
const now = Date.UTC(2026, 10, 23);

describe('a session token', () => {
  it('tells the gateway which session, workspace, repository, branch and generation calls', async () => {
    const token = await mintToken(config, claims, TOKEN_TTL_MS, now);
    expect(await verifyToken(config, token, now)).toEqual(claims);
  });

  it('is recognisable by its beginning and fits into a header', async () => {
    const token = await mintToken(config, claims);
    expect(token.startsWith(TOKEN_PREFIX)).toBe(true);
    expect(token).toMatch(/^cyrus_st_[\w-]+\.[\w-]{43}$/);
    expect(token.length).toBeLessThan(400);
  });

  it('a session token expires at the end of its lifetime', async () => {
    const token = await mintToken(config, claims, 60_000, now);
    expect(await verifyToken(config, token, now + 59_000)).toEqual(claims);
    expect(await verifyToken(config, token, now + 60_000)).toBe('expired');
  });

  it('of another deployment is forged here', async () => {
    expect(await verifyToken(config, await mintToken(other, claims), now)).toBe('forged');
  });

  it('signed with the key before is good while that key is kept: sessions outlive a rotation', async () => {
    const token = await mintToken(other, claims, TOKEN_TTL_MS, now);
    expect(await verifyToken({ ...config, oldEncryptionKey: other.encryptionKey }, token, now)).toEqual(claims);
    expect(await verifyToken({ ...config, oldEncryptionKey: null }, token, now)).toBe('forged');
  });

  it('altered in any character is refused', async () => {
    const token = await mintToken(config, claims, TOKEN_TTL_MS, now);
    for (let at = 0; at < token.length; at++) {
      const altered = token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1);
      expect(['forged', 'malformed'], `character ${at}`).toContain(await verifyToken(config, altered, now));
    }
  });

  it('does not carry the signature of another payload', async () => {
    const mine = await mintToken(config, claims, TOKEN_TTL_MS, now);
    const theirs = await mintToken(config, { ...claims, b: 'main' }, TOKEN_TTL_MS, now);
    const mixed = `${theirs.split('.')[0]}.${mine.split('.')[1]}`;
    expect(await verifyToken(config, mixed, now)).toBe('forged');
  });

  it.each([
    '',
    'cyrus_st_',
    'cyrus_st_.',
    'cyrus_st_e30.',
    `cyrus_st_${'A'.repeat(5_000)}.AA`,
    'sk-ant-oat01-x',
    'cyrus_st_a.b.c',
  ])('is not %j', async (text) => {
    expect(['malformed', 'forged']).toContain(await verifyToken(config, text, now));
  });
});
