/**
 * The reference of the API for programs in docs/api.md, written of the table that its routes are made of.
 *
 * `node dev/checks/api-reference.ts` checks that it is current; `--write` writes it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { operations, problemsOf } from '../../src/protocol/v1/document.ts';
import type { Operation } from '../../src/protocol/v1/operation.ts';
import { NAMED } from '../../src/protocol/v1/schemas.ts';
import { PROJECT } from '../settings.ts';

const FILE = join(PROJECT, 'docs/api.md');
/** What follows this line is written. */
const MARK = '<!-- Written by `npm run api:reference`, down to the end. -->';
/** What every operation may be refused with is said once. */
const COMMON = ['401', '403', '429', '500', '503', '413', '415', '422'];

/** A schema in a few words: a name of the document, or what JSON Schema says of it. */
function words(schema: z.ZodType, io: 'input' | 'output'): string {
  const known = Object.entries(NAMED).find(([, one]) => (one as z.ZodType) === schema);
  if (known) return `\`${known[0]}\``;
  return shown(z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Shape);
}

interface Shape {
  type?: string;
  format?: string;
  enum?: string[];
  const?: unknown;
  default?: unknown;
  minimum?: number;
  maximum?: number;
  maxLength?: number;
  items?: Shape;
  anyOf?: Shape[];
  properties?: Record<string, Shape>;
}

function shown({ type, format, enum: words_, items, anyOf, minimum, maximum, maxLength, properties }: Shape): string {
  if (words_) return words_.map((word) => `\`${word}\``).join(', ');
  if (anyOf) return [...new Set(anyOf.map(shown))].join(' or ');
  if (type === 'array') return `list of ${items ? shown(items) : 'anything'}`;
  if (properties) return `object (${Object.keys(properties).join(', ')})`;
  const bounds = [
    minimum !== undefined && minimum > Number.MIN_SAFE_INTEGER && `from ${minimum}`,
    maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER && `to ${maximum}`,
    maxLength !== undefined && `at most ${maxLength} characters`,
  ].filter(Boolean);
  const name = type === 'null' ? '`null`' : (format ?? type ?? 'anything');
  return bounds.length > 0 ? `${name} (${bounds.join(' ')})` : name;
}

function fieldsOf(schema: z.ZodObject, where: string, io: 'input' | 'output'): string[][] {
  return Object.entries(schema.shape).map(([name, field]) => {
    const one = field as z.ZodType;
    const isNeeded = !one.safeParse(undefined).success;
    const { default: usual } = z.toJSONSchema(one, { io, unrepresentable: 'any' }) as Shape;
    const more = isNeeded ? '' : usual === undefined ? 'optional' : `\`${JSON.stringify(usual)}\` if left out`;
    return [`\`${name}\``, where, words(one, io), more];
  });
}

/** A table as the formatter has it. */
function aligned(rows: readonly string[][]): string {
  const [head = [], ...more] = rows;
  const widths = head.map((_, column) => Math.max(3, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...more.map(line)].join('\n');
}

function section(one: Operation): string {
  const { method, path, summary, description, scope, params, query, body, answer } = one;
  const fields = [
    ...fieldsOf(params, 'path', 'output'),
    ...fieldsOf(query, 'query', 'output'),
    ...(body instanceof z.ZodObject ? fieldsOf(body, 'body', 'input') : []),
  ];
  const table = aligned([['name', 'in', 'value', ''], ...fields]);
  const { content, status } = answer;
  const what = content === null ? '' : typeof content === 'string' ? `, \`${content}\`` : `: ${answerWords(content)}`;
  const refusals = Object.entries(problemsOf(one)).filter(
    ([code]) => !COMMON.includes(code) && one.problems[Number(code)] !== undefined,
  );
  return [
    `### ${method.toUpperCase()} ${path}`,
    `${summary}. Scope \`${scope}\`.${description ? ` ${description}` : ''}`,
    fields.length > 0 ? table : '',
    `**${status}** ${answer.description}${what}.`,
    ...refusals.map(([code]) => `**${code}** ${one.problems[Number(code)]}`),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function answerWords(content: z.ZodType): string {
  const known = Object.entries(NAMED).find(([, one]) => (one as z.ZodType) === content);
  if (known) return `\`${known[0]}\``;
  if (!(content instanceof z.ZodObject)) return words(content, 'output');
  return Object.keys(content.shape)
    .map((name) => `\`${name}\``)
    .join(', ');
}

function main(): void {
  const text = readFileSync(FILE, 'utf8');
  const head = text.split(MARK)[0] ?? '';
  const current = `${head}${MARK}\n\n## Reference\n\n${operations.map(section).join('\n\n')}\n`;
  if (process.argv.includes('--write')) writeFileSync(FILE, current);
  else if (text !== current) {
    console.error('docs/api.md is not current: run npm run api:reference.');
    process.exit(1);
  }
}

if (import.meta.main) main();
