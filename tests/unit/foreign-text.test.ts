import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { promptsInLines } from '../../container/claude/transcript.ts';
import { PROJECT } from '../../dev/settings.ts';
import { checkPrompt } from '../../src/claude/check-prompt.ts';
import { initialPlan, readPlan } from '../../src/claude/plan.ts';
import { fillRequest } from '../../src/claude/prompts.ts';
import { initialReaderState, readLine } from '../../src/claude/stream.ts';
import { credentialHeaders } from '../../src/gateway/claude/credential.ts';
import { checkBetas } from '../../src/gateway/claude/request.ts';
import { SecretSearch, withhold } from '../../src/gateway/secrets/secret-search.ts';
import { bodyByTemplate, renderBody, renderTitle, updatedBody } from '../../src/github/pull-request-text.ts';
import { findUploads } from '../../src/linear/uploads.ts';
import { directiveIn } from '../../src/linear/webhooks/mention.ts';
import { fileType } from '../../src/protocol/file-type.ts';
import { replaceSharedLinks } from '../../src/protocol/files.ts';
import type { JournalEntry } from '../../src/protocol/journal.ts';
import { branchByTemplate } from '../../src/protocol/settings/branch-template.ts';
import { splitCode, withoutCode } from '../../src/protocol/text/markdown-code.ts';
import { fillRelated } from '../../src/session/inbound/related-issues-text.ts';
import { toolWords } from '../../src/session/lifecycle/narration/tool-words.ts';
import { readChoice, readChoices } from '../../src/session/lifecycle/questions/choices.ts';
import { spokenModel } from '../../src/session/lifecycle/start/wishes.ts';
import { findEntries } from '../../src/session/viewers/find-entries.ts';
import { noBlocks, scanBlocks } from '../../src/web/text/stream-blocks.ts';
import { spyOnLog } from '../support/log-spy.ts';
import { expectLinear, expectUnbroken } from './support/hostile-texts.ts';
import { argumentsFor, functionsIn, textFunctions } from './support/text-readers.ts';

spyOnLog();

const facts = (text: string) => ({
  issue: { identifier: 'ENG-1', title: text, url: 'https://linear.app/acme/issue/ENG-1' },
  subject: text,
  summary: text,
  sessionUrl: 'https://cyrus.test/sessions/1',
  branch: 'cyrus/eng-1',
  closesIssue: true,
});
const code = { nested: true, acrossLines: true };
const speaker = { id: 'p', name: 'Jo', email: null, outside: false };
const search = new SecretSearch([{ kind: 'deployment', name: 'A', text: 'secret-that-is-looked-for' }]);
const nothing = { betas: [], keys: [], tools: [], models: [] };

/** Those that take more than texts and numbers, or read what is in a certain place of a text. */
const BY_HAND: Record<string, (text: string) => unknown> = {
  checkPrompt: (text) => checkPrompt(1, text, [{ name: text, detail: text }], [text]),
  plan: (text) => readPlan(initialPlan, { kind: 'text', text }),
  updatedBody: (text) => updatedBody(text, 'new'),
  renderTitle: (text) => renderTitle(text, facts(text)),
  renderBody: (text) => renderBody(text, facts(text)),
  bodyByTemplate: (text) => bodyByTemplate(text, 'made', facts(text)),
  toolWords: (text) => toolWords(text, { command: text }, null),
  findUploads: (text) => findUploads(`${text} uploads.linear.app`, 'https://uploads.linear.app'),
  directiveIn: (text) => directiveIn(`<primary-directive-thread>${text}</primary-directive-thread>`, speaker),
  readChoice: (text) => readChoice(text, [{ label: 'Red', id: 'red' }]),
  readChoices: (text) => readChoices(text, [{ label: 'Red', id: 'red' }]),
  spokenModel: (text) => spokenModel(text, ['opus', 'sonnet']),
  fillRequest: (text) => fillRequest(text, { author: text, text }),
  fillRelated: (text) => fillRelated(text, null),
  replaceSharedLinks: (text) => replaceSharedLinks(text, () => 'x'),
  branchByTemplate: (text) => branchByTemplate('{issue}-{title}', { identifier: text, title: text, branchName: text }),
  splitCode: (text) => splitCode(text, code),
  withoutCode: (text) => withoutCode(text, code),
  scanBlocks: (text) => scanBlocks(noBlocks, text),
  fileType: (text) => fileType(new TextEncoder().encode(text), text),
  promptsInLines: (text) => promptsInLines(Buffer.from(text), [text.slice(0, 40)]),
  readLine: (text) => readLine(initialReaderState, text),
  checkBetas: (text) => checkBetas(text, nothing),
  credentialHeaders: (text) => credentialHeaders('subscription', 'x', text),
  withhold: (text) => withhold(search, text),
  findEntries: (text) => {
    const entry: JournalEntry = { seq: 1, at: 0, turn: 1, kind: 'notice', level: 'info', text };
    return findEntries({ lastBefore: () => 1, holding: () => [entry] }, text.slice(0, 100), 2);
  },
};

/** What is not tried, and why. A function that others' texts get to has no place here. */
const NOT_TRIED: Record<string, string> = {
  alertOf: 'a line of our own log, of which it takes bounded parts',
  assign: 'labels of an issue against the roles that an admin has set, both bounded where they enter',
  answerReviews: 'the state of a session',
  asksForForeignModule: 'a URL, which is as long as a request line',
  claudeAccess: 'variables and secrets that the operator sets, of which it compares the beginning',
  claudeVersion: 'runs the CLI, whose path the operator sets',
  drop: 'the state of a session, and an id',
  envelopeOf: 'a line of our own log, of which it takes bounded parts',
  fitsGlob: 'a pattern of an admin’s, bounded by its schema, against a path',
  fitsPart: 'a pattern of an admin’s, bounded by its schema, against a part of a path',
  fromNotification: 'a webhook that was read',
  git: 'runs git',
  goOnWithWished: 'the state of a session',
  handedOnHeaders: 'headers, which the platform bounds',
  identityOf: 'an admin’s address',
  isOwnerByEmail: 'an email that Cloudflare Access vouches for, put into small letters once',
  judge: 'a URL, which is as long as a request line',
  killServerChildren: 'ends processes',
  meaningOf: 'the state of a session',
  looked: 'alerts, bounded by their schema',
  mirrorPath: 'a name that an admin has set',
  modelAndEffort: 'labels of an issue, as for `assign`',
  noteRead: 'ids',
  ownGroups: 'what the kernel says',
  problemOfWebhookUrl: 'an address that an admin has set, bounded where it enters',
  rankGuidance: 'the rules that Linear sends, bounded where they enter',
  rawFile: 'a path that git has listed',
  remindOfParking: 'the state of a session',
  readSignIn: 'the deployment’s configuration',
  reportError: 'a line of our own log',
  roleOf: 'an email of a member, against a list that an admin has set',
  sessionProcesses: 'reads the processes of the machine',
  sizedBody: 'a header',
  subscriptionTokens: 'the deployment’s configuration',
  tellWait: 'the state of a session',
  toNewest: 'a stored value, and a word of the code for it',
  turnAway: 'the state of a session',
  unifiedDiff: 'two files, which it bounds; how it compares them is tested in line-diff.test.ts',
  vouchedDescription: 'a description and its edits, each read by `wishesIn`',
  withdrawPermission: 'the state of a session',
};

describe('a function that reads foreign text takes time in proportion to its length, whatever is in it', () => {
  const all = textFunctions();
  const automatic = all.filter((one) => argumentsFor(one, '') !== null && !(one.name in { ...BY_HAND, ...NOT_TRIED }));

  for (const [name, read] of Object.entries(BY_HAND)) {
    test(name, () => expectLinear(tolerant(read)));
    test(`${name} bears a large text`, () => expectUnbroken(read));
  }

  for (const one of automatic) {
    test(`${one.name} (${one.file})`, async () => {
      const module: Record<string, unknown> = await import(join(PROJECT, one.file));
      const read = module[one.name];
      if (typeof read !== 'function') throw new Error(`${one.file} has no ${one.name}`);
      expectLinear(tolerant((text) => read(...(argumentsFor(one, text) ?? []))));
      expectUnbroken((text) => read(...(argumentsFor(one, text) ?? [])));
    });
  }

  test('and none is forgotten: what takes a text and looks through it is tried, or it is said why it is not', () => {
    const forgotten = all.filter(
      (one) => argumentsFor(one, '') === null && one.looks && !(one.name in BY_HAND) && !(one.name in NOT_TRIED),
    );
    expect(forgotten.map(({ file, name }) => `${file} ${name}`)).toEqual([]);
    expect(automatic.length).toBeGreaterThan(100);
    const names = new Set(all.map(({ name }) => name));
    expect(Object.keys(NOT_TRIED).filter((name) => !names.has(name))).toEqual([]);
  });

  test('and a new one is found by how it is declared', () => {
    const source = `
      export function words(text: string): string[] { return text.split(' '); }
      export function cut(text: string, most: number, more = 0): string { return text; }
      export function with2(state: State, text: string | null): number { for (const x of text ?? '') count(x); }
      export async function later(text: string) {}
      function own(text: string) {}
      export function bytes(piece: Uint8Array): void {}
      export const inPhases = onlyIn<[text: string, more?: string]>({ starting: readIt });
      function readIt(step: Step, phase: PhaseOf<'starting'>, text: string): void { if (/x/.test(text)) step.set({}); }
      export const ids = byPhase<[id: number], boolean>({ starting: () => true }, () => false);`;
    expect(functionsIn('x.ts', source).map((one) => [one.name, argumentsFor(one, 'a'), one.looks])).toEqual([
      ['words', ['a'], true],
      ['cut', ['a', 1_000], false],
      ['with2', null, true],
      ['inPhases', null, true],
    ]);
  });
});

/** A text that is no such thing may be refused; a refusal comes in time as well. */
function tolerant(read: (text: string) => unknown): (text: string) => void {
  return (text) => {
    try {
      const result = read(text);
      if (result instanceof Promise) result.catch(() => {});
    } catch {
      // Refused.
    }
  };
}
