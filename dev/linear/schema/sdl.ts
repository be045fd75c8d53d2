/**
 * Linear's GraphQL schema, printed from the declarations of @linear/sdk. The package holds no schema file; its types were
 * generated from one, and this is the way back. Two things do not survive the generator: default values of arguments,
 * and that two arguments with defaults are non-null. Descriptions and deprecations do.
 */
import { parse, print } from 'graphql';
import ts from 'typescript-compiler-api';
import { type Member, readSdkDeclarations, type SdkDeclarations, type ShapeDeclaration } from './sdk-declarations.ts';

/** Names whose acronym the generator re-cased and that no operation of the SDK spells out. */
const RENAMED = new Map([
  ['IdComparator', 'IDComparator'],
  ['IssueIdComparator', 'IssueIDComparator'],
  ['EntityIdentifierIdComparator', 'EntityIdentifierIDComparator'],
]);

/**
 * Prints the schema that an installed @linear/sdk was generated from.
 * @param packageDirectory the package's directory in node_modules
 * @returns SDL, formatted by graphql-js, with the SDK's version in its first line
 */
export function schemaFromSdk(packageDirectory: string): string {
  const declarations = readSdkDeclarations(packageDirectory);
  const sdl = new SdlPrinter(declarations).print();
  return `# Linear GraphQL schema as of @linear/sdk ${declarations.version}\n${print(parse(sdl))}\n`;
}

class SdlPrinter {
  readonly #sdk: SdkDeclarations;

  constructor(sdk: SdkDeclarations) {
    this.#sdk = sdk;
  }

  print(): string {
    const roots = ['Query', 'Mutation', 'Subscription'].filter((name) => this.#sdk.types.has(name));
    const parts = [`schema { ${roots.map((name) => `${name.toLowerCase()}: ${name}`).join('\n')} }`];
    for (const scalar of this.#sdk.scalars) parts.push(`${described(scalar.description)}scalar ${scalar.name}`);
    for (const type of this.#sdk.types.values()) {
      const heading = described(type.description);
      const name = this.#name(type.name);
      if (type.kind === 'enum') {
        const values = type.values.map(
          (value) => described(value.description) + value.name + deprecated(value.deprecated),
        );
        parts.push(`${heading}enum ${name} {\n${values.join('\n')}\n}`);
      } else if (type.kind === 'union') {
        parts.push(`${heading}union ${name} = ${type.members.map((member) => this.#name(member)).join(' | ')}`);
      } else if (type.kind === 'input') {
        parts.push(`${heading}input ${name} {\n${type.members.map((field) => this.#input(field)).join('\n')}\n}`);
      } else if (type.kind !== 'arguments') {
        parts.push(heading + this.#fieldType(type));
      }
    }
    return parts.join('\n\n');
  }

  #fieldType(type: ShapeDeclaration): string {
    const interfaces = this.#interfacesOf(type);
    const heading = `${type.kind === 'interface' ? 'interface' : 'type'} ${this.#name(type.name)}`;
    const clause = interfaces.length > 0 ? ` implements ${interfaces.join(' & ')}` : '';
    return `${heading}${clause} {\n${type.members.map((field) => this.#field(type, field)).join('\n')}\n}`;
  }

  #field(parent: ShapeDeclaration, field: Member): string {
    const argumentsName = this.#sdk.argumentsOf.get(`${parent.name}.${field.name}`);
    const declared = argumentsName === undefined ? [] : this.#shape(argumentsName).members;
    const list = declared.length > 0 ? `(\n${declared.map((argument) => this.#input(argument)).join('\n')}\n)` : '';
    const type = this.#type(field.type);
    return `${described(field.description)}${field.name}${list}: ${type}${deprecated(field.deprecated)}`;
  }

  #input(field: Member): string {
    const type = this.#type(field.type);
    const nullable = field.optional ? withoutBang(type) : type;
    return `${described(field.description)}${field.name}: ${nullable}${deprecated(field.deprecated)}`;
  }

  /** Interfaces must be listed with the interfaces they implement themselves. */
  #interfacesOf(type: ShapeDeclaration): string[] {
    const all = new Set(type.extends);
    for (const parent of all) for (const further of this.#shape(parent).extends) all.add(further);
    if (type.kind === 'interface') {
      for (const other of this.#interfaces()) if (other !== type && this.#impliedBy(other, type)) all.add(other.name);
    }
    return [...all].map((name) => this.#name(name)).sort();
  }

  /**
   * The generator leaves out that an interface implements another; it does when it has all of the other's fields and
   * whatever implements it implements the other too.
   */
  #impliedBy(other: ShapeDeclaration, type: ShapeDeclaration): boolean {
    const fields = new Set(type.members.map((member) => member.name));
    if (!other.members.every((member) => fields.has(member.name))) return false;
    return this.#implementersOf(type).every((implementer) => implementer.extends.includes(other.name));
  }

  #interfaces(): ShapeDeclaration[] {
    return this.#shapes().filter((shape) => shape.kind === 'interface');
  }

  #implementersOf(type: ShapeDeclaration): ShapeDeclaration[] {
    return this.#shapes().filter((shape) => shape.extends.includes(type.name));
  }

  #shapes(): ShapeDeclaration[] {
    return [...this.#sdk.types.values()].filter((type) => type.kind !== 'enum' && type.kind !== 'union');
  }

  #shape(name: string): ShapeDeclaration {
    const type = this.#sdk.types.get(name);
    if (!type || type.kind === 'enum' || type.kind === 'union') throw new Error(`${name} has no members`);
    return type;
  }

  #name(name: string): string {
    const type = this.#sdk.types.get(name);
    const own = type && 'schemaName' in type ? type.schemaName : null;
    return own ?? this.#sdk.spelling.get(name) ?? RENAMED.get(name) ?? name;
  }

  /** A TypeScript type in SDL; non-null unless wrapped in the generator's Maybe. */
  #type(node: ts.TypeNode): string {
    if (ts.isIndexedAccessTypeNode(node)) return `${scalarName(node)}!`;
    if (ts.isUnionTypeNode(node)) {
      const type = node.types.find((member) => !ts.isLiteralTypeNode(member));
      if (type) return this.#type(type);
    }
    if (ts.isTypeReferenceNode(node)) {
      const name = node.typeName.getText();
      const [argument] = node.typeArguments ?? [];
      if (argument && (name === 'Maybe' || name === 'InputMaybe')) return withoutBang(this.#type(argument));
      if (argument && name === 'Array') return `[${this.#type(argument)}]!`;
      return `${this.#name(name)}!`;
    }
    throw new Error(`no GraphQL type for ${node.getText()} in the declarations of @linear/sdk`);
  }
}

/** The X of `Scalars['X']`. */
function scalarName(node: ts.IndexedAccessTypeNode): string {
  const { indexType } = node;
  if (ts.isLiteralTypeNode(indexType) && ts.isStringLiteral(indexType.literal)) return indexType.literal.text;
  throw new Error(`no scalar in ${node.getText()} in the declarations of @linear/sdk`);
}

function withoutBang(type: string): string {
  return type.replace(/!$/, '');
}

function described(text: string): string {
  return text === '' ? '' : `"""\n${text.replaceAll('"""', '\\"""')}\n"""\n`;
}

function deprecated(reason: string | null): string {
  if (reason === null) return '';
  return reason === '' ? ' @deprecated' : ` @deprecated(reason: ${JSON.stringify(reason)})`;
}
