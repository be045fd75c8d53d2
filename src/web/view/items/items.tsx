import { memo, type ReactNode, useState } from 'react';
import type { Item } from '../../outline/model.ts';
import { plural } from '../../text/format.ts';
import { OpenBlocks } from '../open-blocks.tsx';
import { Prose } from '../prose.tsx';
import { EndedItem } from './ended-item.tsx';
import { MessageItem } from './message-item.tsx';
import { ProposedItem } from './proposed-item.tsx';
import { SavedItem } from './saved-item.tsx';
import { StepsItem } from './steps-item.tsx';
import { WorkRows } from './work-rows.tsx';

/** Of a very long turn only the newest items are drawn until a person wants more. */
const ITEMS_AT_ONCE = 120;

/** The items of a turn, or of a subagent. `running`: what has no end yet may still get one. */
export const Items = memo(function Items({ items, running }: { items: readonly Item[]; running: boolean }) {
  const [most, setMost] = useState(ITEMS_AT_ONCE);
  const hidden = Math.max(0, items.length - most);
  return (
    <>
      {hidden > 0 && (
        <button type="button" className="more more-earlier" onClick={() => setMost(most + 3 * ITEMS_AT_ONCE)}>
          Show more of the {plural(hidden, 'earlier part')}
        </button>
      )}
      {(hidden === 0 ? items : items.slice(hidden)).map((item) => (
        <ItemView key={item.key} item={item} running={running} />
      ))}
    </>
  );
});

/** Draws what a subagent did under its call, and what it says right now. */
function drawNested(items: readonly Item[], parent: string, running: boolean): ReactNode {
  return (
    <>
      <Items items={items} running={running} />
      {running && <OpenBlocks parent={parent} />}
    </>
  );
}

const ItemView = memo(function ItemView({ item, running }: { item: Item; running: boolean }) {
  switch (item.type) {
    case 'message':
      return <MessageItem entry={item.entry} />;
    case 'text':
      return (
        <div className="prose item-text" dir="auto">
          <Prose text={item.entry.text} />
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
      return <EndedItem entry={item.entry} repeats={item.repeats} />;
  }
});
