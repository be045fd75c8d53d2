/** Linear's schema, ready to execute against: built from @linear/sdk once, then read from a cache. */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildSchema, type GraphQLSchema, isScalarType } from 'graphql';

const PROJECT_ROOT = join(import.meta.dirname, '../../..');
const SDK = join(PROJECT_ROOT, 'node_modules/@linear/sdk');

let loading: Promise<GraphQLSchema> | undefined;

/**
 * Linear's GraphQL schema as of the installed @linear/sdk.
 * @returns the same schema on every call in this process
 * @throws Error when @linear/sdk is not installed or its layout changed
 */
export function linearSchema(): Promise<GraphQLSchema> {
  loading ??= linearSchemaText().then((sdl) => answeringAsLinear(buildSchema(sdl, { assumeValidSDL: true })));
  return loading;
}

/** In answers a `JSON` is its text, which Linear's own SDK parses; a `JSONObject` is an object. */
function answeringAsLinear(schema: GraphQLSchema): GraphQLSchema {
  const json = schema.getType('JSON');
  if (!isScalarType(json)) throw new Error('the schema of @linear/sdk has no scalar JSON any more');
  json.serialize = (value) => (typeof value === 'string' ? value : JSON.stringify(value));
  return schema;
}

/**
 * The schema as SDL. Takes some seconds the first time (it reads a 4 MB declaration file), then comes from
 * `.cyrus/cache/linear-schema-<version>.graphql`. Deleting that file is safe.
 */
export async function linearSchemaText(cacheDirectory = join(PROJECT_ROOT, '.cyrus/cache')): Promise<string> {
  const { version } = JSON.parse(await readFile(join(SDK, 'package.json'), 'utf8')) as { version: string };
  const cached = join(cacheDirectory, `linear-schema-${version}.graphql`);
  try {
    return await readFile(cached, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  // Imported only here: the TypeScript compiler is a large module and a warm start has no use for it.
  const { schemaFromSdk } = await import('./sdl.ts');
  const sdl = schemaFromSdk(SDK);
  await mkdir(cacheDirectory, { recursive: true });
  // Several processes may do this at once; a rename lets none of them read half a file.
  const unfinished = `${cached}.${randomUUID()}`;
  await writeFile(unfinished, sdl);
  await rename(unfinished, cached);
  return sdl;
}
