/** Finds every exported function that takes a text, so that none that reads what others wrote is forgotten where they are tried. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript-compiler-api';
import { PROJECT } from '../../../dev/settings.ts';

export interface TextFunction {
  /** Below the project. */
  file: string;
  name: string;
  /** Types of the parameters that are needed, as they are written. */
  parameters: string[];
  /** Whether it looks through the text itself: by a pattern, a loop, or by what a string offers. */
  looks: boolean;
}

const LOOKING = new Set([
  'split',
  'replace',
  'replaceAll',
  'match',
  'matchAll',
  'normalize',
  'trim',
  'indexOf',
  'includes',
]);

/** Exported functions of src/ and container/ with a text among what they need. */
export function textFunctions(): TextFunction[] {
  return ['src', 'container'].flatMap((top) =>
    readdirSync(join(PROJECT, top), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.ts$/.test(name) && !/\.d\.ts$|node_modules/.test(name))
      .sort()
      .flatMap((name) => functionsIn(`${top}/${name}`, readFileSync(join(PROJECT, top, name), 'utf8'))),
  );
}

/** The same of one file. */
export function functionsIn(file: string, source: string): TextFunction[] {
  const parsed = ts.createSourceFile(file, source, ts.ScriptTarget.Latest, true);
  const found: TextFunction[] = [];
  for (const node of parsed.statements) {
    if (ts.isVariableStatement(node) && has(node, ts.SyntaxKind.ExportKeyword)) {
      found.push(...tablesIn(node, parsed).map((table) => ({ file, ...table })));
    }
    if (!ts.isFunctionDeclaration(node) || !node.name || !has(node, ts.SyntaxKind.ExportKeyword)) continue;
    if (has(node, ts.SyntaxKind.AsyncKeyword)) continue;
    const parameters = node.parameters
      .filter(({ questionToken, initializer }) => !questionToken && !initializer)
      .map(({ type }) => type?.getText(parsed) ?? 'unknown');
    if (!parameters.some(isText)) continue;
    found.push({ file, name: node.name.text, parameters, looks: looks(node) });
  }
  return found;
}

/** Tables from phases to what is done in each (src/session/lifecycle/model/by-phase.ts): functions of a step and what they are given. */
function tablesIn(statement: ts.VariableStatement, parsed: ts.SourceFile): Omit<TextFunction, 'file'>[] {
  return statement.declarationList.declarations.flatMap(({ name, initializer: table }) => {
    if (!table || !ts.isCallExpression(table) || !/^(?:byPhase|onlyIn)$/.test(table.expression.getText(parsed)))
      return [];
    const [given] = table.typeArguments ?? [];
    const elements = given && ts.isTupleTypeNode(given) ? [...given.elements] : [];
    const parameters = elements
      .filter((one) => !(ts.isNamedTupleMember(one) && one.questionToken))
      .map((one) => (ts.isNamedTupleMember(one) ? one.type : one).getText(parsed));
    if (!parameters.some(isText)) return [];
    const inPhases = table.arguments.flatMap((one) =>
      ts.isObjectLiteralExpression(one)
        ? one.properties.map((entry) => (ts.isPropertyAssignment(entry) ? entry.initializer.getText(parsed) : ''))
        : [one.getText(parsed)],
    );
    const named = parsed.statements.filter(
      (one) => ts.isFunctionDeclaration(one) && one.name && inPhases.includes(one.name.text),
    );
    const isLooking = [table, ...named].some(looks);
    return [{ name: name.getText(parsed), parameters: ['Step', ...parameters], looks: isLooking }];
  });
}

/** Values for the parameters; null where one of them is more than text and numbers. */
export function argumentsFor({ parameters }: TextFunction, text: string): unknown[] | null {
  const values = parameters.map((type) => {
    if (isText(type)) return type.includes('[]') ? [text] : text;
    return type === 'number' ? 1_000 : undefined;
  });
  return values.includes(undefined) ? null : values;
}

function isText(type: string): boolean {
  return /^(?:readonly )?string(?:\[\])?(?: \| (?:null|undefined|RegExp))*$/.test(type);
}

function has(node: ts.FunctionDeclaration | ts.VariableStatement, kind: ts.SyntaxKind): boolean {
  return node.modifiers?.some((modifier) => modifier.kind === kind) === true;
}

function looks(node: ts.Node): boolean {
  if (ts.isRegularExpressionLiteral(node) || ts.isForOfStatement(node) || ts.isForStatement(node)) return true;
  if (ts.isWhileStatement(node)) return true;
  if (ts.isPropertyAccessExpression(node) && LOOKING.has(node.name.text)) return true;
  return ts.forEachChild(node, (child) => looks(child) || undefined) === true;
}
