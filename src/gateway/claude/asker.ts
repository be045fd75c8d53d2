/** On whose behalf Claude is asked. */
export interface Asker {
  session: string;
  workspace: string;
  /** `owner/name` */
  repository: string;
}
