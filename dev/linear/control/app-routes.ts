/** Routes of the control API about the application in a workspace, and about what belongs to no issue. */
import { z } from 'zod';
import type { Control } from './control.ts';
import type { Route } from './routing.ts';

const bodySchema = z.strictObject({ body: z.string() });
const chooseSchema = z.strictObject({ option: z.string() });
const documentSchema = z.strictObject({ title: z.string(), content: z.string().default('') });
const fileSchema = z.strictObject({
  filename: z.string().min(1),
  contentType: z.string().min(1),
  base64: z.base64('must be the file in base64'),
});
const adminSchema = z.strictObject({ isAdmin: z.boolean() });
const teamAccessSchema = z.strictObject({ teams: z.union([z.literal('all'), z.array(z.string())]) });
const suggestionsSchema = z.strictObject({
  suggestions: z
    .array(
      z.strictObject({ repositoryFullName: z.string(), hostname: z.string(), confidence: z.number().min(0).max(1) }),
    )
    .nullable(),
});

export function appRoutes(control: Control): Route[] {
  return [
    ['POST', /^\/control\/install$/, () => control.install()],
    ['POST', /^\/control\/uninstall$/, () => control.uninstall()],
    ['PUT', /^\/control\/admin$/, ({ body }) => control.setAdmin(adminSchema.parse(body).isAdmin)],
    ['PUT', /^\/control\/team-access$/, ({ body }) => control.setTeamAccess(teamAccessSchema.parse(body).teams)],
    [
      'PUT',
      /^\/control\/repository-suggestions$/,
      ({ body }) => control.setRepositorySuggestions(suggestionsSchema.parse(body).suggestions),
    ],
    [
      'POST',
      /^\/control\/files$/,
      ({ body }) => {
        const { filename, contentType, base64 } = fileSchema.parse(body);
        return { url: control.addFile({ filename, contentType, bytes: Buffer.from(base64, 'base64') }) };
      },
    ],
    ['GET', /^\/control\/documents$/, () => control.documents()],
    ['POST', /^\/control\/documents$/, ({ body }) => control.createDocument(documentSchema.parse(body))],
    ['GET', /^\/control\/documents\/([^/]+)$/, ({ path: [id = ''] }) => control.documentThread(id)],
    [
      'POST',
      /^\/control\/documents\/([^/]+)\/mention$/,
      ({ path: [id = ''], body }) => control.mentionInDocument(id, bodySchema.parse(body).body),
    ],
    ['GET', /^\/control\/sessions\/([^/]+)$/, ({ path: [session = ''] }) => control.session(session)],
    [
      'POST',
      /^\/control\/sessions\/([^/]+)\/comments$/,
      ({ path: [session = ''], body }) => control.replyToSession(session, bodySchema.parse(body).body),
    ],
    ['POST', /^\/control\/sessions\/([^/]+)\/stop$/, ({ path: [session = ''] }) => control.stopSession(session)],
    [
      'POST',
      /^\/control\/sessions\/([^/]+)\/choose$/,
      ({ path: [session = ''], body }) => control.choose(session, chooseSchema.parse(body).option),
    ],
  ];
}
