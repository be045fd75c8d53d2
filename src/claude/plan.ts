/** Claude's plan, read from its task tools (pure; measured with CLI 2.1.330, where TodoWrite does not exist any more). */
import { z } from 'zod';
import type { JournalBody } from '../protocol/journal.ts';

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
  if (entry.kind !== 'tool-result') return state;
  const call = state.calls.find(({ toolUseId }) => toolUseId === entry.toolUseId);
  if (!call) return state;
  const calls = state.calls.filter((open) => open !== call);
  return { calls, items: entry.isError ? state.items : applied(state.items, call.change, entry.text) };
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
  return { kind: 'update', id, subject, status: status === undefined ? undefined : STATUSES[status] };
}

function applied(items: PlanItem[], change: Change, result: string): PlanItem[] {
  if (change.kind === 'create') {
    const id = /#(\w+)/.exec(result)?.[1];
    if (id === undefined || items.length >= MAX_ITEMS) return items;
    return [...items, { id, content: change.subject.slice(0, MAX_CONTENT), status: 'pending' }];
  }
  const { id, subject, status } = change;
  return items.map((item) =>
    item.id === id
      ? { ...item, content: subject?.slice(0, MAX_CONTENT) ?? item.content, status: status ?? item.status }
      : item,
  );
}
