import { memo } from 'react';
import { shownText } from '../../protocol/text/clean-text.ts';
import type { OpenBlock } from '../../protocol/viewer.ts';
import { toolLabel } from '../outline/tool-summary.ts';
import { Spinner } from './icons.tsx';
import { ThinkingRow } from './items/thought-row.tsx';
import { StreamingText } from './prose.tsx';
import { useSession } from './session-context.ts';

/**
 * What is being streamed right now: of Claude itself (`parent` null), or of the subagent under a tool call. A delta
 * draws the one block it belongs to and nothing else.
 */
export function OpenBlocks({ parent }: { parent: string | null }) {
  // A string, so that it is the same as long as the same blocks are open.
  const names = useSession(({ timeline, outline }) => {
    const ended = outline.sections.at(-1)?.ended?.turn ?? null;
    return JSON.stringify(blocksUnder(timeline.open, parent, ended).map((open) => open.block));
  });
  const blocks: string[] = JSON.parse(names);
  return blocks.map((block) => <OpenBlockView key={block} block={block} />);
}

/** The open blocks of one speaker; of a turn that has ended nothing is streamed any more. */
function blocksUnder(open: readonly OpenBlock[], parent: string | null, ended: number | null): readonly OpenBlock[] {
  return open.filter((block) => (block.parentToolUseId ?? null) === parent && block.turn !== ended);
}

const OpenBlockView = memo(function OpenBlockView({ block }: { block: string }) {
  const open = useSession(({ timeline }) => timeline.open.find((candidate) => candidate.block === block));
  if (open === undefined) return null;
  switch (open.kind) {
    case 'text':
      return <StreamingText text={shownText(open.text)} />;
    case 'thinking':
      return (
        <div className="work">
          <ThinkingRow text={shownText(open.text)} />
        </div>
      );
    case 'tool-call':
      return (
        <div className="work">
          <div className="row row-plain">
            <span className="row-icon">
              <Spinner />
            </span>
            <span className="tool-label">{toolLabel(shownText(open.name ?? 'Tool'))}</span>
            <span className="faint">…</span>
          </div>
        </div>
      );
  }
});
