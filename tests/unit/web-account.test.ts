import { createElement } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, it } from 'vitest';
import type { Me } from '../../src/protocol/people.ts';
import { AccountLine } from '../../src/web/pages/account.tsx';
import { browserWords } from '../../src/web/people/browser-words.ts';

const ada: Me = {
  ...{ kind: 'linear', name: 'Ada <b>', email: 'ada@acme.example', isOwner: false, signIn: 'sign-in' },
  workspaces: [{ id: 'acme', name: 'Acme', userId: 'ada', role: 'admin' }],
};
const draw = (me: Me) => renderToStaticMarkup(createElement(AccountLine, { me, leave: async () => '' }));

describe('the list of sessions', () => {
  it('says who is signed in and where, with the way out, here and everywhere', () => {
    const markup = draw(ada);
    expect(markup).toContain('Ada &lt;b&gt;');
    expect(markup).toContain('Acme');
    expect(markup.match(/<button/g)).toHaveLength(2);
    expect(markup).toContain('Sign out everywhere');
  });

  it('leads out by Cloudflare Access if that says who it is', () => {
    expect(draw({ ...ada, kind: 'access' })).toContain('href="/cdn-cgi/access/logout"');
  });

  it('leads to the account and the audit log alone if there is one person, without a name', () => {
    const markup = draw({
      ...ada,
      kind: 'local',
      isOwner: true,
      name: null,
      email: null,
      workspaces: [],
      signIn: null,
    });
    expect(
      markup
        .replace(/<[^>]+>/g, ' ')
        .split(/\s+/)
        .join(' ')
        .trim(),
    ).toBe('Account Audit log');
  });

  it('leads nobody to the audit log who may not read it', () => {
    expect(draw(ada)).toContain('href="/audit"');
    const workspaces = ada.workspaces.map((one) => ({ ...one, role: 'member' }));
    expect(draw({ ...ada, workspaces })).not.toContain('/audit');
  });
});

describe('a browser in the list of sign-ins', () => {
  it.each([
    ['Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', 'Firefox on Linux'],
    [
      'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/19.0 Safari/605.1.15',
      'Safari on macOS',
    ],
    ['Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0', 'Edge on Windows'],
    ['Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) CriOS/140.0 Mobile/15E148 Safari/604.1', 'Chrome on iOS'],
    ['Mozilla/5.0 (iPad; CPU OS 19_0 like Mac OS X) FxiOS/140.0 Mobile/15E148 Safari/605.1.15', 'Firefox on iOS'],
    ['Mozilla/5.0 (Linux; Android 15) Chrome/140.0 Mobile Safari/537.36 EdgA/140.0', 'Edge on Android'],
    ['curl/8.5.0', 'curl/8.5.0'],
    [null, 'Unknown browser'],
  ])('that says %s is called %s', (agent, words) => expect(browserWords(agent)).toBe(words));
});
