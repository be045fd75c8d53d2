/** Why a session cannot begin, as text for users. */
import type { SandboxStep } from '../../src/protocol/sandbox/events.ts';

/** Preparations ended here: `message` and `hint` are for people. */
export class PreparationError extends Error {
  override readonly name = 'PreparationError';
  readonly step: SandboxStep;
  readonly hint: string;
  constructor(step: SandboxStep, message: string, hint: string, options?: ErrorOptions) {
    super(message, options);
    this.step = step;
    this.hint = hint;
  }
}
