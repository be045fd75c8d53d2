/**
 * Linear's schema as far as @linear/sdk shows it: the types its code generator wrote, read back from the package's
 * declaration file. Kept apart from printing (./sdl.ts), so that each half can be read alone.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pascalCase } from 'change-case-all';
import ts from 'typescript-compiler-api';

/** A field, an argument, an input field or a scalar. `deprecated` is the reason ('' when none was given), or null. */
export interface Member {
  name: string;
  optional: boolean;
  type: ts.TypeNode;
  description: string;
  deprecated: string | null;
}

interface EnumDeclaration {
  kind: 'enum';
  name: string;
  description: string;
  values: { name: string; description: string; deprecated: string | null }[];
}

interface UnionDeclaration {
  kind: 'union';
  name: string;
  description: string;
  members: string[];
}

/** Anything with members. `extends` names the types it is intersected with: its interfaces. */
export interface ShapeDeclaration {
  kind: 'object' | 'interface' | 'input' | 'arguments';
  name: string;
  description: string;
  extends: string[];
  members: Member[];
  /** The schema's own spelling, where the declaration carries it in `__typename`. */
  schemaName: string | null;
}

type Declaration = EnumDeclaration | UnionDeclaration | ShapeDeclaration;

export interface SdkDeclarations {
  version: string;
  scalars: Member[];
  /** In the order of the file, by the generator's (Pascal case) names. */
  types: Map<string, Declaration>;
  /** "Type.field" to the name of the declaration that holds its arguments. */
  argumentsOf: Map<string, string>;
  /** Pascal-cased name to the schema's spelling, for types that the SDK's own operations mention. */
  spelling: Map<string, string>;
}

/** The generator's own helpers, which are no schema types. */
const HELPERS = new Set(['Maybe', 'InputMaybe', 'Exact', 'MakeOptional', 'MakeMaybe', 'Scalars']);
const BUILT_IN_SCALARS = new Set(['ID', 'String', 'Boolean', 'Int', 'Float']);

/**
 * Reads the declarations of an installed @linear/sdk.
 * @param packageDirectory the package's directory in node_modules
 * @throws Error when the package does not look as expected: it was probably upgraded, and this reader needs a look
 */
export function readSdkDeclarations(packageDirectory: string): SdkDeclarations {
  const dist = join(packageDirectory, 'dist');
  const { version } = JSON.parse(readFileSync(join(packageDirectory, 'package.json'), 'utf8')) as { version: string };
  const file = readdirSync(dist).find((name) => /^index-.*\.d\.mts$/.test(name));
  if (!file) throw new Error(`@linear/sdk ${version} has no dist/index-*.d.mts: its layout changed`);
  const source = parseSchemaPart(readFileSync(join(dist, file), 'utf8'));

  const statements = new Map<string, ts.TypeAliasDeclaration | ts.EnumDeclaration>();
  let scalars: Member[] = [];
  for (const statement of source.statements) {
    if (!ts.isTypeAliasDeclaration(statement) && !ts.isEnumDeclaration(statement)) continue;
    const name = statement.name.text;
    if (name === 'Scalars' && ts.isTypeAliasDeclaration(statement) && ts.isTypeLiteralNode(statement.type)) {
      scalars = membersOf(statement.type).filter((scalar) => !BUILT_IN_SCALARS.has(scalar.name));
    }
    if (!HELPERS.has(name)) statements.set(name, statement);
  }

  const types = new Map<string, Declaration>();
  for (const [name, statement] of statements) types.set(name, declarationOf(name, statement));
  markInterfaces(types);
  const argumentsOf = findArguments(types);
  return { version, scalars, types, argumentsOf, spelling: spellingInOperations(join(dist, 'index.mjs')) };
}

/** The first part of the file describes the schema, the rest the SDK's operations, recognizable by `& Pick<`. */
function parseSchemaPart(text: string): ts.SourceFile {
  const end = text.lastIndexOf('\ntype ', text.indexOf('& Pick<'));
  if (end < 0) throw new Error('the declarations of @linear/sdk do not end in operation types: its layout changed');
  return ts.createSourceFile('sdk.d.ts', text.slice(0, end), ts.ScriptTarget.Latest, true);
}

function declarationOf(name: string, statement: ts.TypeAliasDeclaration | ts.EnumDeclaration): Declaration {
  const { description } = documentation(statement);
  if (ts.isEnumDeclaration(statement)) {
    const values = statement.members.map((member) => ({
      name: enumValue(member),
      ...documentation(member),
    }));
    return { kind: 'enum', name, description, values };
  }
  const parts: readonly ts.TypeNode[] = ts.isIntersectionTypeNode(statement.type)
    ? statement.type.types
    : [statement.type];
  const literal = parts.find(ts.isTypeLiteralNode);
  if (!literal) {
    const members = ts.isUnionTypeNode(statement.type) ? statement.type.types : [statement.type];
    return { kind: 'union', name, description, members: members.map(referenceName) };
  }
  const members = membersOf(literal);
  const typename = members.find((member) => member.name === '__typename');
  return {
    // Only output types carry __typename; interfaces and arguments are told apart once all types are known.
    kind: typename ? 'object' : 'input',
    name,
    description,
    extends: parts.filter((part) => part !== literal).map(referenceName),
    members: members.filter((member) => member !== typename),
    schemaName: typename ? literalText(typename.type) : null,
  };
}

function markInterfaces(types: Map<string, Declaration>): void {
  for (const type of types.values()) {
    if (type.kind === 'enum' || type.kind === 'union') continue;
    for (const parent of type.extends) {
      const declared = types.get(parent);
      if (declared?.kind === 'input') declared.kind = 'interface';
    }
  }
}

/** The generator writes the arguments of `Parent.field` as a type of their own, named ParentFieldArgs. */
function findArguments(types: Map<string, Declaration>): Map<string, string> {
  const found = new Map<string, string>();
  for (const parent of [...types.values()]) {
    if (parent.kind !== 'object' && parent.kind !== 'interface') continue;
    for (const { name: field } of parent.members) {
      const spellings = [
        `${parent.name}${pascalCase(field)}Args`,
        pascalCase(`${parent.name}${pascalCase(field)}Args`),
        pascalCase(`${parent.name}_${field}_args`),
        pascalCase(`${parent.name}${field.charAt(0).toUpperCase()}${field.slice(1)}Args`),
      ];
      for (const spelling of spellings) {
        const declared = types.get(spelling);
        if (declared?.kind !== 'input' && declared?.kind !== 'arguments') continue;
        declared.kind = 'arguments';
        found.set(`${parent.name}.${field}`, spelling);
      }
    }
  }
  return found;
}

function spellingInOperations(modulePath: string): Map<string, string> {
  const spelling = new Map<string, string>();
  for (const [, name] of readFileSync(modulePath, 'utf8').matchAll(/\$[A-Za-z0-9_]+: \[?([A-Za-z0-9_]+)/g)) {
    if (name) spelling.set(pascalCase(name), name);
  }
  return spelling;
}

function membersOf(literal: ts.TypeLiteralNode): Member[] {
  const members: Member[] = [];
  for (const member of literal.members) {
    if (!ts.isPropertySignature(member) || !member.type) continue;
    const name = (member.name as ts.Identifier | ts.StringLiteral).text;
    members.push({ name, optional: member.questionToken !== undefined, type: member.type, ...documentation(member) });
  }
  return members;
}

/** Tags other than @deprecated are part of the prose. */
function documentation(node: ts.Node): { description: string; deprecated: string | null } {
  let description = '';
  let deprecated: string | null = null;
  for (const comment of ts.getJSDocCommentsAndTags(node)) {
    if (!ts.isJSDoc(comment)) continue;
    description = ts.getTextOfJSDocComment(comment.comment) ?? '';
    for (const tag of comment.tags ?? []) {
      const text = ts.getTextOfJSDocComment(tag.comment) ?? '';
      if (tag.tagName.text === 'deprecated') deprecated = text.trim();
      else description += `\n@${tag.tagName.text} ${text}`;
    }
  }
  return { description: description.trim(), deprecated };
}

function enumValue(member: ts.EnumMember): string {
  const { initializer, name } = member;
  if (initializer && ts.isStringLiteralLike(initializer)) return initializer.text;
  return (name as ts.Identifier).text;
}

function referenceName(node: ts.TypeNode): string {
  if (ts.isTypeReferenceNode(node)) return node.typeName.getText();
  throw new Error(`a type name was expected in the declarations of @linear/sdk, not: ${node.getText()}`);
}

/** `'Issue'`, or the first of `'A' | 'B'`. */
function literalText(node: ts.TypeNode): string {
  const first = ts.isUnionTypeNode(node) ? node.types[0] : node;
  if (first && ts.isLiteralTypeNode(first) && ts.isStringLiteral(first.literal)) return first.literal.text;
  throw new Error(`a string literal was expected in the declarations of @linear/sdk, not: ${node.getText()}`);
}
