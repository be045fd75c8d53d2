import { memo, type ReactNode } from 'react';
import { creationHunks, diffCounts } from '../../outline/diff.ts';
import type { Item, ToolCall } from '../../outline/model.ts';
import { toolSummary } from '../../outline/tool-summary.ts';
import { clock, duration } from '../../text/format.ts';
import { errorLine } from '../../text/output-lines.ts';
import { Fold } from '../fold.tsx';
import { Icon, Spinner, toolIcon } from '../icons.tsx';
import { useServerNow, useSession } from '../session-context.ts';
import { DiffView } from './diff-view.tsx';
import { ToolDetails } from './tool-details.tsx';

/** Lines of an edit shown without being asked for. */
const DIFF_PREVIEW = 16;
/** What took longer says so. */
const WORTH_SAYING_MS = 1000;

type ToolRowProps = {
  tool: ToolCall;
  /** False when its turn is over: without a result it was cut off. */
  running: boolean;
  /** Draws what happened under this call. Given in, because those items hold tool rows themselves. */
  drawItems: (items: readonly Item[], parent: string, running: boolean) => ReactNode;
};

/** A tool call and its result on one line; an edit shows its diff, a subagent what it does. */
export const ToolRow = memo(function ToolRow({ tool, running, drawItems }: ToolRowProps) {
  const cwd = useSession((state) => state.session?.cwd ?? state.outline.cwd);
  const { call, result } = tool;
  const name = call?.name ?? 'Result';
  const summary = toolSummary(name, call?.input, cwd);
  const failed = result?.isError === true && !tool.stopped;
  const pending = result === null && running;
  const hunks = editHunks(tool);
  const counts = hunks === null ? null : diffCounts(hunks);
  const isSubagent = tool.items.length > 0 || name === 'Agent' || name === 'Task';

  return (
    <div className={`row tool ${failed ? 'tool-failed' : ''}`}>
      <Fold
        name={`row ${tool.key}`}
        line={
          <>
            <span className="row-icon">
              {pending ? <Spinner /> : <Icon name={failed ? 'cross' : toolIcon(name)} />}
            </span>
            <span className="tool-label">{summary.label}</span>
            <span className={summary.style === 'code' ? 'tool-subject code' : 'tool-subject'} title={summary.subject}>
              {summary.subject}
            </span>
            {summary.note && <span className="tool-note">{summary.note}</span>}
            {counts !== null && <Counts {...counts} />}
            {failed && <span className="tag tag-bad">failed</span>}
            {tool.stopped && <span className="tag">stopped</span>}
            {result === null && !running && <span className="tag">no result</span>}
            <ToolTime tool={tool} pending={pending} />
          </>
        }
      >
        {() => <ToolDetails tool={tool} edited={hunks !== null} />}
      </Fold>
      {failed && result !== null && <p className="tool-error">{errorLine(result.text)}</p>}
      {hunks !== null && hunks.length > 0 && <DiffView name={`diff ${tool.key}`} hunks={hunks} lines={DIFF_PREVIEW} />}
      {isSubagent && (pending || tool.items.length > 0) && (
        <div className="nested">{drawItems(tool.items, tool.id, pending)}</div>
      )}
    </div>
  );
});

/** Lines added and removed. */
export function Counts({ added, removed }: { added: number; removed: number }) {
  return (
    <span className="counts">
      <span className="plus">+{added}</span> <span className="minus">−{removed}</span>
    </span>
  );
}

function ToolTime({ tool: { call, result }, pending }: { tool: ToolCall; pending: boolean }) {
  const now = useServerNow(pending);
  if (call === null) return null;
  const took = (result?.at ?? now) - call.at;
  if (pending) return <span className="row-time">{took >= WORTH_SAYING_MS ? clock(took) : ''}</span>;
  return result !== null && took >= WORTH_SAYING_MS ? <span className="row-time">{duration(took)}</span> : null;
}

/** The hunks of a successful edit; those of a new file are its content, which only the call holds. */
function editHunks({ call, result }: ToolCall) {
  if (result?.edit === undefined || result.isError) return null;
  if (result.edit.hunks.length > 0 || !result.edit.created) return result.edit.hunks;
  const input = call?.input;
  const content = typeof input === 'object' && input !== null && 'content' in input ? input.content : '';
  return creationHunks(typeof content === 'string' ? content : '');
}
