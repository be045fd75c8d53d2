/** What the page shows of the open question. */
import type { Asked } from '../../../protocol/viewer.ts';
import { PERMISSION_LIMIT_MS } from '../model/deadlines.ts';
import type { OpenQuestion, PermissionQuestion, RepositoryQuestion } from '../model/questions.ts';
import type { SessionState } from '../model/state.ts';
import { WHICH } from '../start/repository-choice.ts';
import { nextIndex, type Standing, standingQuestion } from './open-question.ts';
import { ALLOW_FOR_SESSION, MAX_SHOWN } from './permissions.ts';

/** @returns null if nobody is asked anything */
export function askedOf(state: SessionState): Asked | null {
  const { phase } = state;
  const standing = standingQuestion(state);
  if (phase.name !== 'asking' || !standing) return null;
  return { ...answersTo(standing), ...wordsOf(phase.about, phase.since) };
}

function answersTo({ id, choices, multiSelect }: Standing): Pick<Asked, 'id' | 'options' | 'choices' | 'multiSelect'> {
  return { id, options: choices.map(({ label }) => label), choices, ...(multiSelect && { multiSelect }) };
}

function wordsOf(
  about: RepositoryQuestion | OpenQuestion,
  since: number,
): Pick<Asked, 'text' | 'call' | 'isDiff' | 'note' | 'until'> {
  switch (about.kind) {
    case 'repository':
      return { text: about.question ?? WHICH, call: null, note: '', until: null };
    case 'claude': {
      const next = about.questions[nextIndex(about)];
      const note = next?.multiSelect ? 'You can choose several.' : '';
      return { text: next?.question ?? '', call: null, note, until: null };
    }
    case 'permission': {
      const text = `Claude asks to ${about.title}`;
      const isDiff = about.push !== undefined && { isDiff: true };
      return { text, call: about.shown, ...isDiff, note: permissionNote(about), until: since + PERMISSION_LIMIT_MS };
    }
  }
}

function permissionNote({ cutFrom, grant, unclear, why }: PermissionQuestion): string {
  const notes = [
    unclear === undefined ? null : `“${unclear}” is neither a yes nor a no; the next unclear answer counts as a no.`,
    cutFrom === null ? null : `Cut after ${MAX_SHOWN} of ${cutFrom} characters; the call above shows the whole.`,
    why,
    grant && `“${ALLOW_FOR_SESSION}” allows ${grant.words}.`,
    'If you say no, you can say why; Claude reads it.',
  ];
  return notes.filter((part) => part !== null && part !== '').join(' ');
}
