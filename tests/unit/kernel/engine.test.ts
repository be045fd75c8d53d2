import { MemoryDisk } from '../../support/engine/memory-disk.ts';
import { engineSuite } from '../../support/engine/suite.ts';

engineSuite('in Node', async (test) => {
  const disk = new MemoryDisk();
  try {
    await test(disk);
  } finally {
    disk.close();
  }
});
