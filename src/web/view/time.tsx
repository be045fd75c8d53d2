import { fullTime, timeOfDay } from '../text/format.ts';

/** A point in time, in the one notation of the pages and in the reader's zone; the whole of it on demand. */
export function Time({ at, className = '' }: { at: number; className?: string }) {
  return (
    <time className={className} dateTime={new Date(at).toISOString()} title={fullTime(at)}>
      {timeOfDay(at, Date.now())}
    </time>
  );
}
