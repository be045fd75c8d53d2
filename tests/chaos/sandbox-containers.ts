/** Sandboxes in containers, to be killed: the whole of one with SIGKILL, as when its host dies; its disk is gone with it. */
import type { ContainerMachine } from '../e2e/container-machine.ts';
import type { Killable } from './sandbox-machines.ts';

export class Containers implements Killable {
  readonly #machine: ContainerMachine;

  constructor(machine: ContainerMachine) {
    this.#machine = machine;
  }

  async kill(session: string): Promise<boolean> {
    const container = await this.#machine.containerOf(session);
    if (container === null) return false;
    const { code } = await this.#machine.docker(['kill', '--signal', 'KILL', container]);
    return code === 0;
  }

  /** A session that is over needs its containers no more, nor what the engine keeps of those that were killed. */
  end(session: string): Promise<void> {
    return this.#machine.remove(session);
  }

  close(): Promise<void> {
    return this.#machine.clear();
  }
}
