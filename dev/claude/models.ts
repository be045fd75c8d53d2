/** The models that the stand-in for Claude's API has: those of the four families, by id as the API writes them. */
import { ApiRefusal } from './messages-api.ts';

/** Models in the list of `GET /v1/models`. */
export const listedModels = ['claude-opus-5-5', 'claude-sonnet-5-5', 'claude-haiku-5-5', 'claude-fable-5'].map(
  (id) => ({
    type: 'model',
    id,
    display_name: `${id} (scripted)`,
    created_at: '2026-01-01T00:00:00Z',
  }),
);

/**
 * Ids that the API takes beside those of the list: `claude-sonnet-5`, `claude-sonnet-4-5-20250929` (a version with its date), and the alias
 * `claude-sonnet-4-5-latest`. The CLI's own short names (`sonnet`) are none: the CLI makes ids of them.
 */
const family = /^claude-(?:opus|sonnet|haiku|fable)-[3-5](?:-\d)?(?:-20\d{6}|-latest)?$/;
const oldFamily = /^claude-3(?:-[57])?-(?:opus|sonnet|haiku)-(?:20\d{6}|latest)$/;

/** @throws ApiRefusal 404 that names the model, as the API does */
export function checkModel(model: string): void {
  if (family.test(model) || oldFamily.test(model)) return;
  throw new ApiRefusal(404, 'not_found_error', `model: ${model}`);
}
