/** Something was asked for that cannot be. `status` is the HTTP status that says so. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly status: 400 | 403 | 404 | 409;
  constructor(status: 400 | 403 | 404 | 409, message: string) {
    super(message);
    this.status = status;
  }
}
