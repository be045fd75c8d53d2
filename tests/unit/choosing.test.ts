/** Who may choose repository, base and model, and from what. */
import { describe, expect, it } from 'vitest';
import { fitsGlob, globSchema } from '../../src/lib/glob.ts';
import { defaultWorkspaceSettings, workspaceSettingsSchema } from '../../src/protocol/settings/access-rules.ts';
import { fromIssueChange } from '../../src/session/inbound/webhook-to-event.ts';
import { vouchedDescription, type WishEdit, withWishEdit } from '../../src/session/lifecycle/start/wish-edits.ts';
import { repositoryWish, wishesIn } from '../../src/session/lifecycle/start/wishes.ts';
import { SessionPlay } from './support/session-play.ts';

describe('a repository that a text names', () => {
  it.each([
    ['a quoted line', '> [repo=acme/shop#evil]'],
    ['the rest of a quoted paragraph', '> As she wrote:\n[repo=acme/shop#evil]\n\nMend it.'],
    ['a quotation in a list', '- > [repo=acme/shop#evil]'],
    ['a quotation in a quotation', '> > [repo=acme/shop#evil]'],
    ['a comment that nobody sees', 'Mend it. <!-- [repo=acme/shop#evil] -->'],
    ['a comment that is not closed', 'Mend it. <!-- [repo=acme/shop#evil]'],
    ['a span of code', '`[repo=acme/shop#evil]`'],
  ])('is no wish in %s', (_where, text) => {
    expect(repositoryWish(text)).toBeNull();
  });

  it('is a wish also after a quotation', () => {
    expect(repositoryWish('> she said\n\n[repo=acme/shop]')).toMatchObject({ name: 'acme/shop' });
  });
});

describe('a pattern of branches or paths', () => {
  it.each([
    ['release/*', 'release/2', true],
    ['release/*', 'release/2/x', false],
    ['release/**', 'release/2/x', true],
    ['**/ci.yml', 'ci.yml', true],
    ['**/ci.yml', 'a/b/ci.yml', true],
    ['**/ci.yml', 'a/bci.yml', false],
    ['v?.*', 'v1.x', true],
    ['main', 'main2', false],
    ['*', 'main', true],
    ['*', 'a/b', false],
    ['a.b', 'axb', false],
    ['[a]', 'a', false],
    ['🚀/*', '🚀/x', true],
  ])('%s and %s: %s', (pattern, text, fits) => {
    expect(fitsGlob(text, pattern)).toBe(fits);
  });

  it('has bounds, and no characters that nobody sees', () => {
    for (const bad of ['', 'x'.repeat(201), 'a\u200bb', 'a\nb', 'a\\b'])
      expect(globSchema.safeParse(bad).success).toBe(false);
    expect(fitsGlob('a'.repeat(5_000), '*'.repeat(200))).toBe(false);
    expect(fitsGlob('a'.repeat(4_000), `${'**a'.repeat(60)}b`)).toBe(false);
  });
});

describe('an edit of the description', () => {
  const ada = { id: 'ada', email: 'ada@acme.test' };
  const mallory = { id: 'mallory', email: null, name: 'Mallory' };
  const access = {
    workspace: workspaceSettingsSchema.parse({ ...defaultWorkspaceSettings, blockedUsers: ['mallory'] }),
    repository: null,
    team: null,
  };

  function edited(actor: object | null, before: unknown, after: string) {
    const data = { id: 'i', description: after };
    const webhook = { type: 'Issue', action: 'update', organizationId: 'o', webhookTimestamp: 1, actor, data };
    const told = { ...webhook, updatedFrom: { description: before } } as unknown as Parameters<
      typeof fromIssueChange
    >[0];
    const event = fromIssueChange(told, null, 'e')?.event;
    return event?.type === 'context-arrived' ? event.wishes : undefined;
  }

  it('is noted with its author if it changes a wish, and only then', () => {
    expect(edited({ id: 'm', name: 'M' }, 'a [repo=acme/shop]', 'b [repo=acme/shop#evil]')).toMatchObject({
      by: { id: 'm' },
      was: '[repo=acme/shop]',
    });
    expect(edited({ id: 'm' }, 'a [repo=acme/shop]', 'b [repo=acme/shop]')).toBeUndefined();
    expect(edited(null, 'a', '[repo=acme/evil]')).toBeUndefined();
    expect(edited({ id: 'm' }, 7, '[repo=acme/evil]')).toBeUndefined();
  });

  it('is kept with the session, for its starts to judge by', () => {
    const play = new SessionPlay();
    const wishes = { by: mallory, was: '[repo=acme/shop]' };
    const item = { edit: { author: 'M', description: '[repo=acme/evil]' } };
    play.play({ type: 'context-arrived', id: 'c1', item, wishes });
    expect(play.state.wishEdits).toEqual([wishes]);
  });

  it('by somebody who may not give work leaves the wishes as they were, and says whose does not count', () => {
    const edits: WishEdit[] = [
      { by: ada, was: '' },
      { by: mallory, was: '[repo=acme/shop]' },
    ];
    expect(vouchedDescription('[repo=acme/evil]', edits, access)).toEqual({
      text: '[repo=acme/shop]',
      ignored: mallory,
    });
    const after = [...edits, { by: ada, was: '[repo=acme/evil]' }];
    expect(vouchedDescription('[repo=acme/site]', after, access)).toEqual({ text: '[repo=acme/site]', ignored: null });
  });

  it('however often it is repeated, never counts because the list of edits is full', () => {
    let edits: WishEdit[] = [{ by: ada, was: '' }];
    for (let n = 0; n < 50; n++)
      edits = withWishEdit(edits, { by: mallory, was: n === 0 ? '[repo=acme/shop]' : `[repo=evil/${n}]` });
    expect(edits.length).toBeLessThanOrEqual(10);
    const { text } = vouchedDescription('[repo=evil/last]', edits, access);
    expect(text).not.toContain('evil');
  });

  it('keeps of a text no more than its wishes', () => {
    expect(wishesIn(`${'x'.repeat(90_000)} [effort=low] [repo=acme/shop#a] [model=opus]`)).toBe(
      '[repo=acme/shop#a] [model=opus] [effort=low]',
    );
  });
});

it('What was chosen at the start of a session is told in its thread, once', () => {
  const play = new SessionPlay();
  play.prompt('p1');
  play.started(undefined, 'preparing', { choice: 'Working in acme/shop, on release/2.' });
  expect(play.said('thread-1').filter((words) => words.includes('acme/shop, on release/2'))).toHaveLength(1);
});
