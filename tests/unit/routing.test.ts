import { describe, expect, it } from 'vitest';
import { type RepositorySettings, repositorySettingsSchema } from '../../src/protocol/settings/repository.ts';
import {
  type Candidate,
  type RoutingFacts,
  readAnswer,
  route,
} from '../../src/session/lifecycle/start/match-repository.ts';

const nothing: RoutingFacts = { texts: [], labels: [], project: null, team: null };

function candidate(fullName: string, settings: Partial<RepositorySettings> = {}): Candidate {
  return { fullName, baseBranch: 'main', settings: repositorySettingsSchema.parse(settings) };
}

const shop = candidate('acme/shop', { labels: ['Checkout'], projects: ['Cart'], teams: ['ENG'] });
const site = candidate('acme/site', { labels: ['Website'], isDefault: true });
const both = [shop, site];

describe('an issue goes to the repository', () => {
  it('that its text names, with the branch it names, before anything else', () => {
    const facts = { ...nothing, texts: ['See [repo=Acme/Shop#release/2].'], labels: ['Website'] };
    expect(route(facts, both, [])).toMatchObject({ fullName: 'acme/shop', baseBranch: 'release/2' });
  });

  it('of its label, then of its project, then of its team, then to the default', () => {
    const all = { ...nothing, labels: ['website'], project: 'Cart', team: { key: 'ENG', name: 'Engineering' } };
    expect(route(all, both, [])).toMatchObject({ fullName: 'acme/site', because: 'of a label' });
    expect(route({ ...all, labels: [] }, both, [])).toMatchObject({ fullName: 'acme/shop', because: 'of the project' });
    expect(route({ ...all, labels: [], project: null }, both, [])).toMatchObject({ because: 'of the team' });
    expect(route(nothing, both, [])).toMatchObject({ fullName: 'acme/site', because: 'it is the default' });
  });

  it('that is the only one', () => {
    expect(route(nothing, [candidate('acme/api')], [])).toMatchObject({ fullName: 'acme/api' });
  });

  it('that Linear suggests with confidence, if no rule decides', () => {
    const plain = [candidate('acme/api'), candidate('acme/app')];
    const sure = [
      { fullName: 'acme/app', confidence: 0.9 },
      { fullName: 'acme/api', confidence: 0.1 },
    ];
    expect(route(nothing, plain, sure)).toMatchObject({ kind: 'chosen', fullName: 'acme/app' });
  });
});

it('a later text corrects the wish of an earlier one', () => {
  const texts = ['[repo=acme/wrong]', 'Sorry: \\[repo=acme/site\\]'];
  expect(route({ ...nothing, texts }, both, [])).toMatchObject({ kind: 'chosen', fullName: 'acme/site' });
});

describe('people are asked for the repository', () => {
  const plain = [candidate('acme/api'), candidate('acme/app')];

  it('if nothing decides, the likelier first', () => {
    const unsure = [
      { fullName: 'acme/app', confidence: 0.9 },
      { fullName: 'acme/api', confidence: 0.85 },
    ];
    expect(route(nothing, plain, unsure)).toEqual({ kind: 'unsure', options: ['acme/app', 'acme/api'] });
  });

  it('if a label fits two repositories, although a rule that is less particular fits one', () => {
    const two = [
      candidate('acme/web'),
      candidate('acme/api', { labels: ['x'], isDefault: true }),
      candidate('acme/app', { labels: ['x'] }),
    ];
    const suggestions = [{ fullName: 'acme/web', confidence: 1 }];
    expect(route({ ...nothing, labels: ['x'] }, two, suggestions)).toMatchObject({
      kind: 'unsure',
      options: ['acme/api', 'acme/app', 'acme/web'],
      why: expect.stringContaining('label'),
    });
  });

  it('if a tag cannot be read, or its name fits none or several', () => {
    for (const tag of ['[repo=]', '[repo=the api]', '[repo=shop]']) {
      expect(route({ ...nothing, texts: [tag] }, plain, [])).toMatchObject({ kind: 'unsure', why: expect.any(String) });
    }
    const twins = [candidate('acme/api'), candidate('other/api')];
    expect(route({ ...nothing, texts: ['[repo=api]'] }, twins, [])).toMatchObject({ kind: 'unsure' });
  });

  it('if a rule fits two repositories', () => {
    const two = [candidate('acme/api', { labels: ['x'] }), candidate('acme/app', { labels: ['x'] })];
    expect(route({ ...nothing, labels: ['x'] }, two, []).kind).toBe('unsure');
  });
});

it('a repository that is named but not configured is not guessed around', () => {
  expect(route({ ...nothing, texts: ['[repo=acme/secret]'] }, both, [])).toEqual({
    kind: 'unknown',
    fullName: 'acme/secret',
    known: ['acme/shop', 'acme/site'],
  });
});

it('an answer is understood by number, name, short name, or in a sentence; one that fits several is not', () => {
  const options = ['acme/shop', 'acme/site', 'other/site-tools'];
  expect(readAnswer('2', options)).toBe('acme/site');
  expect(readAnswer(' ACME/shop ', options)).toBe('acme/shop');
  expect(readAnswer('shop', options)).toBe('acme/shop');
  expect(readAnswer('Please use acme/site for this.', options)).toBe('acme/site');
  expect(readAnswer('the shop one', options)).toBe('acme/shop');
  expect(readAnswer('9', options)).toBeNull();
  expect(readAnswer('whatever', options)).toBeNull();
  expect(readAnswer('shop or acme/site, you choose: acme/shop', options)).toBeNull();
});
