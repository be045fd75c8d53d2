import type { Moment } from '../../outline/model.ts';
import { duration, fullTime, plural } from '../../text/format.ts';
import { CopyButton } from '../copy-button.tsx';
import { Fold } from '../fold.tsx';
import { Icon } from '../icons.tsx';

type FlightRecordProps = { moments: readonly Moment[]; name: string; startsOpen: boolean };

/** What happened when in a turn, as a list under one line. @param startsOpen of a turn that failed it is what one wants to see */
export function FlightRecord({ moments, name, startsOpen }: FlightRecordProps) {
  const first = moments[0];
  if (first === undefined || moments.length < 2) return null;
  const warnings = moments.filter(({ level }) => level === 'warning').length;
  return (
    <Fold
      name={name}
      className="flight"
      startsOpen={startsOpen}
      line={
        <>
          <span className="row-icon">
            <Icon name="clock" />
          </span>
          <span className="row-words">
            What happened when
            {warnings > 0 && <span className="faint"> · {plural(warnings, 'warning')}</span>}
          </span>
        </>
      }
    >
      {() => (
        <>
          <ol className="flight-list">
            {moments.map((moment) => (
              <li key={`${moment.key} ${moment.text}`} className={`flight-${moment.level}`}>
                <time dateTime={new Date(moment.at).toISOString()} title={fullTime(moment.at)}>
                  +{duration(moment.at - first.at)}
                </time>
                <span dir="auto">
                  {moment.level !== 'plain' && <span className="visually-hidden">{moment.level}: </span>}
                  {moment.text}
                </span>
                <span className="row-time">{moment.tookMs !== null && `took ${duration(moment.tookMs)}`}</span>
              </li>
            ))}
          </ol>
          <CopyButton text={() => asText(moments)} what="what happened when" />
        </>
      )}
    </Fold>
  );
}

/** A line for each moment, for a report of what went wrong. */
function asText(moments: readonly Moment[]): string {
  return moments
    .map(({ at, text, tookMs }) => {
      const took = tookMs === null ? '' : ` (took ${duration(tookMs)})`;
      return `${new Date(at).toISOString()}  ${text}${took}`;
    })
    .join('\n');
}
