/** What is stored of Claude's files: transcripts in parts, many small files in one object. */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import {
  type CheckpointFile,
  type CheckpointManifest,
  type CheckpointObject,
  MAX_CHECKPOINT_OBJECT_BYTES,
} from '../../src/protocol/checkpoint.ts';
import { putObject } from '../gateway/checkpoint-client.ts';
import type { GatewayAccess } from '../gateway/request.ts';
import { ConversationFiles, type FileChange } from './files.ts';
import { packFiles } from './pack.ts';

const compress = promisify(gzip);
/** A file of more parts, or a set of more packs, is stored again as one. */
const MAX_PARTS = 48;

export class StoredConversation {
  /** The conversation's id. */
  readonly id: string;
  readonly #files: ConversationFiles;
  readonly #onTranscript: (content: Buffer) => void;
  readonly #onTooLarge: (path: string) => void;
  readonly #stored = new Map<string, CheckpointFile>();
  #packs: CheckpointObject[] = [];

  /**
   * @param directory Claude's configuration directory
   * @param conversationId its session id
   * @param on `transcript`: whole lines of the main transcript that were stored; `tooLarge`: a file that cannot be
   */
  constructor(
    directory: string,
    conversationId: string,
    on: { transcript: (content: Buffer) => void; tooLarge: (path: string) => void },
  ) {
    this.id = conversationId;
    this.#files = new ConversationFiles(directory, conversationId);
    this.#onTranscript = on.transcript;
    this.#onTooLarge = on.tooLarge;
  }

  /** As a manifest names them. */
  get manifest(): Pick<CheckpointManifest, 'files' | 'packs'> {
    return { files: [...this.#stored.values()], ...(this.#packs.length > 0 && { packs: this.#packs }) };
  }

  /** The first of what is new, see ConversationFiles. */
  async changes(results: string[] | null): Promise<{ changes: FileChange[]; more: boolean }> {
    if (this.#packs.length >= MAX_PARTS) {
      this.#files.forgetPacked();
      this.#packs = [];
    }
    return await this.#files.changes(results);
  }

  /**
   * Stores changes.
   * @returns bytes that were sent
   * @throws CheckpointStoreError
   */
  async ship(access: GatewayAccess, sequence: number, changes: FileChange[]): Promise<number> {
    let bytes = 0;
    for (const change of changes) if (!change.packed) bytes += await this.#shipAlone(access, sequence, change);
    const packed = changes.filter((change) => change.packed);
    return bytes + (packed.length > 0 ? await this.#shipTogether(access, sequence, packed) : 0);
  }

  async #shipAlone(access: GatewayAccess, sequence: number, change: FileChange): Promise<number> {
    const { path, bytes, sha256, content } = change;
    const parts = (change.from > 0 ? this.#stored.get(path)?.parts : undefined) ?? [];
    const compressed = await compress(content);
    if (compressed.length > MAX_CHECKPOINT_OBJECT_BYTES) {
      this.#onTooLarge(path);
      return 0;
    }
    const object = await putObject(access, sequence, 'part', Buffer.from(compressed));
    this.#stored.set(path, { path, bytes, sha256, parts: [...parts, object] });
    change.keep();
    if (parts.length + 1 >= MAX_PARTS) this.#files.forget(path);
    if (path.endsWith(`/${this.id}.jsonl`)) this.#onTranscript(content);
    return object.bytes;
  }

  async #shipTogether(access: GatewayAccess, sequence: number, changes: FileChange[]): Promise<number> {
    const packed = await packFiles(changes);
    if (packed.length > MAX_CHECKPOINT_OBJECT_BYTES) {
      const [only] = changes;
      if (changes.length === 1 && only) {
        this.#onTooLarge(only.path);
        return 0;
      }
      const middle = Math.ceil(changes.length / 2);
      const first = await this.#shipTogether(access, sequence, changes.slice(0, middle));
      return first + (await this.#shipTogether(access, sequence, changes.slice(middle)));
    }
    const object = await putObject(access, sequence, 'part', packed);
    this.#packs = [...this.#packs, object];
    for (const change of changes) change.keep();
    return object.bytes;
  }
}
