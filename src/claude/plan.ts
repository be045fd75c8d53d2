/**
 * Claude's plan, read from its task tools (pure; measured with CLI 2.1.330, where TodoWrite does not exist any more), and
 * where it uses none from a plan that it states in words.
 */
import * as z from 'zod';
import { ownValue } from '../lib/own-value.ts';
import type { JournalBody } from '../protocol/journal.ts';
import { cutAt } from './bounds.ts';

export interface PlanItem {
  id: string;
  content: string;
  status: 'pending' | 'inProgress' | 'completed' | 'canceled';
}

/** Small, JSON-serialisable. `calls`: task tools whose result is not known yet. */
export interface PlanState {
  items: PlanItem[];
  calls: { toolUseId: string; change: Change }[];
}

type Change =
  | { kind: 'create'; subject: string }
  | { kind: 'update'; id: string; subject?: string; status?: PlanItem['status'] };

export const initialPlan: PlanState = { items: [], calls: [] };

const MAX_ITEMS = 50;
const MAX_CONTENT = 200;

const createSchema = z.object({ subject: z.string().min(1) });
const updateSchema = z.object({
  taskId: z.coerce.string(),
  subject: z.string().min(1).optional(),
  status: z.string().optional(),
});

const STATUSES: Record<string, PlanItem['status']> = {
  pending: 'pending',
  in_progress: 'inProgress',
  completed: 'completed',
  deleted: 'canceled',
};

/**
 * Takes in one journal entry; a change counts once its tool has succeeded.
 * @returns the same object where the plan is not concerned; `items` is a new array where it changed
 */
export function readPlan(state: PlanState, entry: JournalBody): PlanState {
  if ('parentToolUseId' in entry && entry.parentToolUseId !== undefined) return state;
  if (entry.kind === 'tool-call') {
    const change = changeOf(entry.name, entry.input);
    if (!change) return state;
    return { ...state, calls: [...state.calls, { toolUseId: entry.toolUseId, change }].slice(-MAX_ITEMS) };
  }
  if (entry.kind === 'text') return withStated(state, entry.text);
  if (entry.kind !== 'tool-result') return state;
  const call = state.calls.find(({ toolUseId }) => toolUseId === entry.toolUseId);
  if (!call) return state;
  const calls = state.calls.filter((open) => open !== call);
  return { calls, items: entry.isError ? state.items : applied(state.items, call.change, entry.text) };
}

/** Ids of steps that were stated begin so; those of tasks are numbers. */
const STATED = 'stated-';
const CHECKBOX = /^\s*(?:[-*+]|\d+[.)])\s+\[([ xX])\]\s+(\S.*)$/;
const STEP = /^\s{0,3}(?:\d+[.)]|[-*+])\s+(\S.*)$/;
/** A heading or a line of its own that announces a plan. */
const ANNOUNCED = /^\s*(?:#{1,6}\s+)?\**(?:(?:here(?:'s| is)|this is)\s+)?(?:my |the )?plan\b[^.!?]{0,40}:?\**:?\s*$/i;

/** A plan stated in words; tasks go before it. */
function withStated(state: PlanState, text: string): PlanState {
  if (state.items.some(({ id }) => !id.startsWith(STATED))) return state;
  const stated = statedPlan(text);
  const items = stated.map((step, index) => ({ id: `${STATED}${index + 1}`, ...step }));
  if (items.length === 0 || JSON.stringify(items) === JSON.stringify(state.items)) return state;
  return { ...state, items };
}

/** The steps of a checklist, or of a list under the word "plan"; fewer than two are no plan. */
function statedPlan(text: string): Omit<PlanItem, 'id'>[] {
  const lines = text.split('\n');
  const boxes = lines.flatMap((line): Omit<PlanItem, 'id'>[] => {
    const [, mark, content = ''] = CHECKBOX.exec(line) ?? [];
    return mark === undefined ? [] : [{ content: plain(content), status: mark === ' ' ? 'pending' : 'completed' }];
  });
  const steps = boxes.length > 1 ? boxes : announcedSteps(lines);
  return steps.length > 1 ? steps.slice(0, MAX_ITEMS) : [];
}

function announcedSteps(lines: string[]): Omit<PlanItem, 'id'>[] {
  const begin = lines.findIndex((line) => ANNOUNCED.test(line));
  const steps: Omit<PlanItem, 'id'>[] = [];
  for (const line of begin === -1 ? [] : lines.slice(begin + 1)) {
    const content = STEP.exec(line)?.[1];
    if (content !== undefined) steps.push({ content: plain(content), status: 'pending' });
    // What is indented belongs to the step above; anything else ends the list.
    else if (line.trim() !== '' && !/^\s/.test(line)) break;
  }
  return steps;
}

function plain(text: string): string {
  const line = text
    .replace(/\[([^\][]*)\]\([^()]*\)/g, '$1')
    .replace(/[*_`]+/g, '')
    .trim();
  return cutAt(line, MAX_CONTENT);
}

function changeOf(name: string, input: unknown): Change | null {
  if (name === 'TaskCreate') {
    const created = createSchema.safeParse(input);
    return created.success ? { kind: 'create', subject: created.data.subject } : null;
  }
  if (name !== 'TaskUpdate') return null;
  const updated = updateSchema.safeParse(input);
  if (!updated.success) return null;
  const { taskId: id, subject, status } = updated.data;
  return { kind: 'update', id, subject, status: status === undefined ? undefined : ownValue(STATUSES, status) };
}

function applied(items: PlanItem[], change: Change, result: string): PlanItem[] {
  if (change.kind === 'create') {
    const id = /#(\w+)/.exec(result)?.[1];
    if (id === undefined || items.length >= MAX_ITEMS) return items;
    // Tasks take the place of what was merely said.
    const tasks = items.filter((item) => !item.id.startsWith(STATED));
    return [...tasks, { id, content: cutAt(change.subject, MAX_CONTENT), status: 'pending' }];
  }
  const { id, subject, status } = change;
  return items.map((item) =>
    item.id === id
      ? {
          ...item,
          content: subject === undefined ? item.content : cutAt(subject, MAX_CONTENT),
          status: status ?? item.status,
        }
      : item,
  );
}
