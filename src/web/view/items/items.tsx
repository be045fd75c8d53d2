import { memo, type ReactNode, useState } from 'react';
import type { Item } from '../../outline/model.ts';
import { plural } from '../../text/format.ts';
import { CopyButton } from '../copy-button.tsx';
import { OpenBlocks } from '../open-blocks.tsx';
import { Prose } from '../prose.tsx';
import { entryLink } from '../timeline/deep-link.ts';
import { EndedItem } from './ended-item.tsx';
import { MessageItem } from './message-item.tsx';
import { ProposedItem } from './proposed-item.tsx';
import { SavedItem } from './saved-item.tsx';
import { StepsItem } from './steps-item.tsx';
import { WorkRows } from './work-rows.tsx';

/** Of what a long-running subagent did before it was first seen, this much is drawn until a person wants more. */
const ITEMS_AT_ONCE = 60;

/** What a subagent did. Items are added at the end, and none that was drawn is taken away. */
const NestedItems = memo(function NestedItems({ items, running }: { items: readonly Item[]; running: boolean }) {
  const [first, setFirst] = useState(() => Math.max(0, items.length - ITEMS_AT_ONCE));
  return (
    <>
      {first > 0 && (
        <button type="button" className="more" onClick={() => setFirst(Math.max(0, first - 3 * ITEMS_AT_ONCE))}>
          Show more of the {plural(first, 'earlier part')}
        </button>
      )}
      {items.slice(first).map((item) => (
        <ItemView key={item.key} item={item} running={running} />
      ))}
    </>
  );
});

/** Draws what a subagent did under its call, and what it says right now. */
export function drawNested(items: readonly Item[], parent: string, running: boolean): ReactNode {
  return (
    <>
      <NestedItems items={items} running={running} />
      {running && <OpenBlocks parent={parent} />}
    </>
  );
}

/** One item of a turn. `running`: what has no end yet may still get one. */
export const ItemView = memo(function ItemView({ item, running }: { item: Item; running: boolean }) {
  switch (item.type) {
    case 'message':
      return <MessageItem entry={item.entry} />;
    case 'text':
      return (
        <div className="prose item-text" dir="auto">
          <Prose text={item.entry.text} />
          <span className="item-actions">
            <CopyButton text={item.entry.text} what="as Markdown" />
            <CopyButton text={() => entryLink(item.entry.seq)} what="the link to this" icon="link" />
          </span>
          {item.entry.truncatedFrom !== undefined && <p className="faint">Cut here; the log does not have more.</p>}
        </div>
      );
    case 'work':
      return <WorkRows rows={item.rows} running={running} drawItems={drawNested} />;
    case 'steps':
      return <StepsItem entries={item.entries} running={running} />;
    case 'saved':
      return <SavedItem entry={item.entry} durationMs={item.durationMs} />;
    case 'proposed':
      return <ProposedItem entry={item.entry} />;
    case 'ended':
      return <EndedItem entry={item.entry} repeats={item.repeats} flight={item.flight} />;
  }
});
