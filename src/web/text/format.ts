/** Numbers and times as people read them. Pure; durations in milliseconds. */

/** A running clock: "0:07", "1:23", "1:02:03". Never negative. */
export function clock(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (value: number) => String(value).padStart(2, '0');
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** How long something took: "40 ms", "0.4 s", "12 s", "1 min 23 s", "2 h 5 min". */
export function duration(ms: number): string {
  if (ms < 100) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 9_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 === 0 ? `${minutes} min` : `${minutes} min ${seconds % 60} s`;
  const rest = minutes % 60;
  return rest === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${rest} min`;
}

/** A count, short: "999", "1.2k", "12k", "3.4M". */
export function compact(count: number): string {
  if (count < 1000) return String(Math.round(count));
  const [value, unit] = count < 999_500 ? [count / 1000, 'k'] : [count / 1_000_000, 'M'];
  return `${value < 9.95 ? value.toFixed(1).replace(/\.0$/, '') : Math.round(value)}${unit}`;
}

/** Dollars: "$0.004", "$0.42", "$12.30". */
export function dollars(cost: number): string {
  return `$${cost > 0 && cost < 0.0095 ? cost.toFixed(3) : cost.toFixed(2)}`;
}

/** Size: "312 B", "4.2 kB". */
export function bytes(count: number): string {
  const short = compact(count);
  return count < 1000 ? `${short} B` : `${short.slice(0, -1)} ${short.slice(-1)}B`;
}

/** How long ago: "now", "3 min ago", "2 h ago", "4 days ago", then the date. */
export function ago(at: number, now: number): string {
  const minutes = Math.floor((now - at) / 60_000);
  if (minutes < 1) return 'now';
  if (minutes < 60) return `${minutes} min ago`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ago`;
  const days = Math.floor(minutes / (24 * 60));
  return days < 14 ? `${days} days ago` : dayOf(at, now);
}

/** Time of day, e.g. "14:05"; with the date if it is not today's. */
export function timeOfDay(at: number, now: number): string {
  const date = new Date(at);
  const time = date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  if (date.toDateString() === new Date(now).toDateString()) return time;
  // Within a week the day of the week says it, and is shorter.
  const isNear = Math.abs(at - now) < 6 * 86_400_000;
  return `${isNear ? date.toLocaleDateString([], { weekday: 'short' }) : dayOf(at, now)} ${time}`;
}

/** A day, e.g. "Nov 3"; with the year if it is not this one. A month in letters cannot be taken for a day. */
function dayOf(at: number, now: number): string {
  const date = new Date(at);
  const isThisYear = date.getFullYear() === new Date(now).getFullYear();
  return date.toLocaleDateString([], { day: 'numeric', month: 'short', ...(!isThisYear && { year: 'numeric' }) });
}

/** The whole of a time, with its zone, e.g. "Nov 29, 2026, 2:05:09 PM GMT+1". */
export function fullTime(at: number): string {
  return new Date(at).toLocaleString([], { dateStyle: 'medium', timeStyle: 'long' });
}

/** "1 file", "3 files". */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
