/**
 * Linear's errors, in the shape the API gives them: the HTTP status says little, `extensions` says what it is.
 * Source: captured answers, and the error types @linear/sdk knows.
 */
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import type { z } from 'zod';

/** One wrong argument, as Linear's validator reports it. */
interface ValidationError {
  property: string;
  constraints: Record<string, string>;
}

interface ErrorDetails {
  type: string;
  code: string;
  statusCode: number;
  userError: boolean;
  userPresentableMessage?: string;
  validationErrors?: ValidationError[];
}

/** An error the simulated API answers with. */
export class LinearError extends Error {
  override readonly name = 'LinearError';
  readonly details: ErrorDetails;
  constructor(message: string, details: ErrorDetails) {
    super(message);
    this.details = details;
  }
}

/** Something of this kind and id does not exist. */
export function notFound(entity: string, id: string): LinearError {
  return new LinearError(`Entity not found: ${entity}`, {
    type: 'invalid input',
    code: 'INPUT_ERROR',
    statusCode: 400,
    userError: true,
    userPresentableMessage: `Could not find referenced ${entity} ${id}.`,
  });
}

/** The client's id was used before: what a repeated create meets. */
export function conflict(entity: string, id: string): LinearError {
  return new LinearError(`conflict on insert of ${entity}`, {
    type: 'invalid input',
    code: 'INPUT_ERROR',
    statusCode: 400,
    userError: true,
    userPresentableMessage: `Entity ${entity} with id ${id} already exists.`,
  });
}

/** Arguments that the schema admits and Linear does not. */
function invalidArguments(problems: ValidationError[]): LinearError {
  const said = problems.map((problem) => `${problem.property}: ${Object.values(problem.constraints).join(', ')}`);
  return new LinearError('Argument Validation Error', {
    type: 'invalid input',
    code: 'INVALID_INPUT',
    statusCode: 400,
    userError: true,
    userPresentableMessage: said.join('; '),
    validationErrors: problems,
  });
}

/** One wrong argument. */
export function invalidArgument(property: string, constraint: string, message: string): LinearError {
  return invalidArguments([{ property, constraints: { [constraint]: message } }]);
}

/** @param property what was checked, such as `content` */
export function invalidShape(property: string, error: z.ZodError): LinearError {
  return invalidArguments(
    error.issues.map((issue) => ({
      property: [property, ...issue.path].join('.'),
      constraints: { [issue.code]: issue.message },
    })),
  );
}

/** Allowed for others, not for an app. */
export function forbidden(message: string): LinearError {
  return new LinearError(message, {
    type: 'forbidden',
    code: 'FORBIDDEN',
    statusCode: 403,
    userError: true,
    userPresentableMessage: message,
  });
}

/** The real API can do this, the simulator cannot: said loudly, so that nobody takes it for an empty answer. */
export function notSimulated(what: string): LinearError {
  return new LinearError(`The Linear simulator does not simulate ${what}`, {
    type: 'other',
    code: 'NOT_SIMULATED',
    statusCode: 501,
    userError: false,
  });
}

/** Body of the answer to a missing, wrong or expired token; HTTP 401. There is no `data`. */
export const UNAUTHENTICATED = {
  errors: [
    {
      message: 'Authentication required, not authenticated',
      extensions: {
        type: 'authentication error',
        code: 'AUTHENTICATION_ERROR',
        statusCode: 401,
        userError: true,
        userPresentableMessage: 'You need to authenticate to access this operation.',
        http: { status: 401 },
      },
    },
  ],
};

/** Body of the answer to a mutation with a token that may only read. */
export const WRITE_SCOPE_MISSING = {
  data: null,
  errors: [
    {
      message: 'Invalid scope: `write` required',
      extensions: {
        type: 'forbidden',
        code: 'FORBIDDEN',
        statusCode: 403,
        userError: true,
        userPresentableMessage: 'Invalid scope: `write` required',
      },
    },
  ],
};

/** Body of the answer over the limit; HTTP 400. */
export const RATE_LIMITED = {
  errors: [
    {
      message: 'Rate limit exceeded. Only so many requests are allowed per hour.',
      extensions: {
        type: 'ratelimited',
        code: 'RATELIMITED',
        statusCode: 429,
        userError: true,
        userPresentableMessage: 'Rate limit exceeded. Please try again later.',
        meta: { rateLimitResult: { allowed: false } },
      },
    },
  ],
};

/** Body of the answer to a request that is wrong before it is executed; HTTP 400. */
export function requestErrors(code: string, errors: readonly { message: string }[]): object {
  const type = code === 'BAD_USER_INPUT' ? 'invalid input' : 'graphql error';
  return {
    errors: errors.map((error) => ({
      message: error.message,
      ...(error instanceof GraphQLError && error.locations ? { locations: error.locations } : {}),
      extensions: { type, code, statusCode: 400, userError: true, userPresentableMessage: error.message },
    })),
  };
}

/** An error from execution, with Linear's extensions. */
export function formatExecutionError(error: GraphQLError): GraphQLFormattedError {
  const { message, locations, path } = error;
  const details: ErrorDetails =
    error.originalError instanceof LinearError
      ? error.originalError.details
      : { type: 'internal error', code: 'INTERNAL_SERVER_ERROR', statusCode: 500, userError: false };
  return { message, ...(locations && { locations }), ...(path && { path }), extensions: { ...details } };
}
