import { createElement } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, it } from 'vitest';
import type { Me } from '../../src/protocol/people.ts';
import { AccountLine } from '../../src/web/pages/account.tsx';

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

  it('says nothing of it if there is one person, without a name', () => {
    expect(draw({ ...ada, kind: 'local', name: null, email: null, workspaces: [], signIn: null })).toBe('');
  });
});
