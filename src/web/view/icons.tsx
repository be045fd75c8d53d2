/** Small line drawings, 16 units square, in the colour of the text around them. Decoration: hidden from screen readers. */
const paths = {
  terminal: 'M2.5 3.5h11v9h-11zM5 6.2 7 8 5 9.8M8.5 10h2.5',
  file: 'M4 2.5h5l3 3v8H4zM9 2.5v3h3',
  pencil: 'M3 13l.6-2.6 7.3-7.3 2 2-7.3 7.3zM9.6 4.4l2 2',
  search: 'M7 11.5a4.5 4.5 0 1 1 0-9 4.5 4.5 0 0 1 0 9zM10.3 10.3l3.2 3.2',
  globe:
    'M8 13.5a5.5 5.5 0 1 1 0-11 5.5 5.5 0 0 1 0 11zM2.5 8h11M8 2.5c-3.4 3.6-3.4 7.4 0 11M8 2.5c3.4 3.6 3.4 7.4 0 11',
  fork: 'M4 6V4M4 6a4 4 0 0 0 4 4h3.5M4 6v7M9.5 8l2.2 2-2.2 2',
  thought: 'M8 2.5l1.2 3.3L12.5 7 9.2 8.2 8 11.5 6.8 8.2 3.5 7l3.3-1.2zM12.5 11.5v2M11.5 12.5h2',
  tool: 'M10.5 2.8a3.2 3.2 0 0 0-3.1 4.4L3 11.6 4.4 13l4.4-4.4a3.2 3.2 0 0 0 4.4-3.7L11.3 6.8 9.6 6.4l-.4-1.7 1.9-1.9z',
  list: 'M3 4h1M6 4h7M3 8h1M6 8h7M3 12h1M6 12h7',
  check: 'M3.5 8.5l3 3 6-7',
  cross: 'M4.5 4.5l7 7M11.5 4.5l-7 7',
  circle: 'M8 12.5a4.5 4.5 0 1 1 0-9 4.5 4.5 0 0 1 0 9z',
  right: 'M3 8h9.5M8.7 4l4 4-4 4',
  clock: 'M8 13.5a5.5 5.5 0 1 1 0-11 5.5 5.5 0 0 1 0 11zM8 5v3.2l2.2 1.3',
  square: 'M5 5h6v6H5z',
  chevron: 'M6 4l4 4-4 4',
  warning: 'M8 3l5.5 9.5h-11zM8 6.8v2.6M8 11.2v.1',
  info: 'M8 13.5a5.5 5.5 0 1 1 0-11 5.5 5.5 0 0 1 0 11zM8 7.5v3.3M8 5.2v.1',
  dot: 'M8 8v.01',
  branch:
    'M5 5.5v5M5 5.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3zM5 13.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3zM11 7a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3zM11 7c0 2.3-2 3.3-5 4',
  back: 'M9.5 3.5L5 8l4.5 4.5',
  send: 'M8 13V3.5M4 7.3l4-4 4 4',
  down: 'M8 3v9.5M4 8.7l4 4 4-4',
  copy: 'M5.5 5.5h7v8h-7zM3.5 10.5v-8h7',
  link: 'M6.8 9.2l2.4-2.4M5 8l-1 1a2.1 2.1 0 0 0 3 3l1-1M11 8l1-1a2.1 2.1 0 0 0-3-3L8 5',
  up: 'M8 13V3.5M4 7.3l4-4 4 4',
  download: 'M8 2.5v7.5M5 7.3l3 3 3-3M3 13h10',
  out: 'M6 3.5H3.5v9h9V10M9 3.5h3.5V7M12.3 3.7L7.5 8.5',
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  );
}

/** Something continues. Stands still where motion is not wanted. */
export function Spinner() {
  return (
    <svg className="icon spinner" viewBox="0 0 16 16" aria-hidden="true">
      <circle cx="8" cy="8" r="5.5" className="spinner-track" />
      <path d="M8 2.5a5.5 5.5 0 0 1 5.5 5.5" />
    </svg>
  );
}

/** The icon of a tool. */
export function toolIcon(name: string): IconName {
  switch (name) {
    case 'Bash':
      return 'terminal';
    case 'Read':
      return 'file';
    case 'Edit':
    case 'MultiEdit':
    case 'Write':
    case 'NotebookEdit':
      return 'pencil';
    case 'Grep':
    case 'Glob':
    case 'LS':
    case 'ToolSearch':
      return 'search';
    case 'WebFetch':
    case 'WebSearch':
      return 'globe';
    case 'Agent':
    case 'Task':
      return 'fork';
    default:
      return name.startsWith('Task') || name.startsWith('Todo') ? 'list' : 'tool';
  }
}
