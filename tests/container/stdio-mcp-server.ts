/** An MCP server over stdio for tests, with the tools `add`, which adds two numbers, and `environment`, which tells its environment. */
import { createInterface } from 'node:readline';

const object = (properties: object) => ({ type: 'object', properties });
const tools = [
  {
    name: 'add',
    description: 'Adds two numbers',
    inputSchema: object({ a: { type: 'number' }, b: { type: 'number' } }),
  },
  { name: 'environment', description: 'Tells the environment', inputSchema: object({}) },
];

interface Message {
  id?: number;
  method: string;
  params?: { protocolVersion?: string; name?: string; arguments?: { a: number; b: number } };
}

function answer({ method, params }: Message): object {
  if (method === 'initialize') {
    const serverInfo = { name: 'calculator', version: '1' };
    return { protocolVersion: params?.protocolVersion, capabilities: { tools: {} }, serverInfo };
  }
  if (method === 'tools/list') return { tools };
  const { a = 0, b = 0 } = params?.arguments ?? {};
  const text = params?.name === 'add' ? `the sum is ${a + b}` : JSON.stringify(process.env);
  return { content: [{ type: 'text', text }] };
}

for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line) as Message;
  if (message.id === undefined) continue;
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id: message.id, result: answer(message) })}\n`);
}
