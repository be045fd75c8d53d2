import type { ToolCall } from '../../outline/model.ts';
import { Prose } from '../prose.tsx';
import { ClippedOutput } from './clipped-output.tsx';

/** What a tool was given and what it gave, unfolded. `edited`: the diff already shows the input. */
export function ToolDetails({ tool, edited }: { tool: ToolCall; edited: boolean }) {
  const { call, result, tasks } = tool;
  return (
    <div className="tool-details">
      {call !== null && !edited && <ToolInput name={call.name} input={call.input} truncatedFrom={call.truncatedFrom} />}
      {tasks.length > 0 && (
        <p className="faint">{tasks.map((task) => [task.status, task.description].join(': ')).join(' · ')}</p>
      )}
      {result !== null && (
        <figure aria-label="Result">
          {isSubagent(call?.name) && !result.isError ? (
            <div className="prose boxed" dir="auto">
              <Prose text={result.text} />
            </div>
          ) : (
            <ClippedOutput
              text={result.text}
              tone={result.isError && !tool.stopped ? 'error' : undefined}
              truncatedFrom={result.truncatedFrom}
            />
          )}
        </figure>
      )}
    </div>
  );
}

type ToolInputProps = { name: string; input: unknown; truncatedFrom?: number };

function ToolInput({ name, input, truncatedFrom }: ToolInputProps) {
  const command = name === 'Bash' ? fieldOf(input, 'command') : null;
  if (command !== null) {
    return (
      <figure aria-label="Command">
        {fieldOf(input, 'description') !== null && <p className="faint">{fieldOf(input, 'description')}</p>}
        <div className="command">
          <ClippedOutput text={command} truncatedFrom={truncatedFrom} />
        </div>
      </figure>
    );
  }
  const prompt = isSubagent(name) ? fieldOf(input, 'prompt') : null;
  return (
    <figure aria-label="Input">
      <ClippedOutput text={prompt ?? inputText(input)} truncatedFrom={truncatedFrom} />
    </figure>
  );
}

function isSubagent(name: string | undefined): boolean {
  return name === 'Agent' || name === 'Task';
}

function fieldOf(input: unknown, key: string): string | null {
  const value = typeof input === 'object' && input !== null ? (input as Record<string, unknown>)[key] : null;
  return typeof value === 'string' ? value : null;
}

/** "key: value" lines where the values are simple, else JSON. */
function inputText(input: unknown): string {
  if (typeof input === 'object' && input !== null && !Array.isArray(input)) {
    const fields = Object.entries(input);
    if (fields.every(([, value]) => typeof value !== 'object' || value === null)) {
      return fields.map(([key, value]) => `${key}: ${String(value)}`).join('\n');
    }
  }
  return typeof input === 'string' ? input : (JSON.stringify(input, null, 2) ?? '');
}
