/**
 * Typed GraphQL operations. What an operation is asked with has the SDK's types; what it is answered is a schema that the
 * compiler compares with the SDK's: it takes whatever Linear's schema allows, `null` where that allows it.
 */
import type { LinearDocument } from '@linear/sdk';
import type * as z from 'zod';
import type { Call, Send } from './call.ts';

/** A document, the type of its variables, and the schema of the data it is answered with. */
export interface Operation<Variables extends Record<string, unknown>, Answer extends z.ZodType> {
  document: string;
  answer: Answer;
  /** For the compiler alone. */
  variables?: Variables;
}

/** The SDK's types as they cross the network: a date is a text there. */
type Sent<T> = T extends Date
  ? string
  : T extends readonly (infer Item)[]
    ? Sent<Item>[]
    : T extends object
      ? { [Key in keyof T]: Sent<T[Key]> }
      : T;

/** Refuses a schema that does not take what Linear may answer. */
type Takes<Root, Answer extends z.ZodType> =
  Sent<Root> extends z.input<Answer> ? unknown : { error: 'Linear may answer what this schema refuses' };

type Define<Root, Variables extends Record<string, unknown>> = <Answer extends z.ZodType>(
  document: string,
  answer: Answer & Takes<Root, Answer>,
) => Operation<Variables, Answer>;

/** Defines a query: `query<Variables>()(document, answer)`. */
export function query<Variables extends Record<string, unknown>>(): Define<LinearDocument.Query, Variables> {
  return (document, answer) => ({ document, answer });
}

/** Defines a mutation. One that answers `success: false` has failed before its data is looked at. */
export function mutation<Variables extends Record<string, unknown>>(): Define<LinearDocument.Mutation, Variables> {
  return (document, answer) => ({ document, answer });
}

/** The call of an operation. @param how by itself: as something that was done, without an id of ours */
export function callOf<Variables extends Record<string, unknown>>(
  { document }: Operation<Variables, z.ZodType>,
  variables: Variables,
  how: Partial<Omit<Call, 'document' | 'variables'>> = {},
): Call {
  return { document, variables, priority: 'action', idempotent: false, ...how };
}

/**
 * Carries out an operation.
 * @throws LinearError; ZodError if Linear answers something else
 */
export async function ask<Variables extends Record<string, unknown>, Answer extends z.ZodType>(
  send: Send,
  operation: Operation<Variables, Answer>,
  variables: Variables,
  how?: Partial<Omit<Call, 'document' | 'variables'>>,
): Promise<z.output<Answer>> {
  return operation.answer.parse(await send(callOf(operation, variables, how)));
}
