import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { HEARTBEAT_MS, MAX_BATCH_BYTES, MAX_BATCH_EVENTS } from '../../src/protocol/sandbox/batches.ts';
import {
  eventually,
  processesOf,
  run,
  runServer,
  SERVER_SECRET,
  type ServerProcess,
  type Stage,
  setStage,
} from './stage.ts';
import { testClock } from './test-clock.ts';

let stage: Stage;
const servers: ServerProcess[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) server.child.kill('SIGKILL');
  await stage?.close();
});

/** Every event once, in order, and whole: what the CLI printed is what its transcript of the turn needs. */
function expectWhole(): void {
  expect(stage.gateway.events.map((event) => event.seq)).toEqual(stage.gateway.events.map((_, index) => index + 1));
}

describe('events', () => {
  test('wait on disk while the gateway is away, and come whole and once when it is back', async () => {
    stage = await setStage();
    await stage.start('shop-1');
    await stage.event('cli-started');
    stage.gateway.eventsAway = true;
    await stage.prompt('shop-1', 'The total of the cart is wrong.');
    // The turn takes its course all the same, up to the push.
    testClock.hurry(5);
    await eventually(async () => (await stage.status('shop-1')).state === 'ready', 'the end of the turn');
    expect(stage.lines('result')).toEqual([]);
    expect((await stage.host.branches('acme/shop')).map((branch) => branch.name)).toContain('cyrus/shop-1');
    stage.gateway.eventsAway = false;
    const { lastSeq } = await stage.status('shop-1');
    await eventually(() => stage.gateway.events.length === lastSeq, 'all events');
    expectWhole();
    expect(stage.lines('result')).toHaveLength(1);
    expect(stage.eventsOf('saved')).toHaveLength(1);
  });

  test('that waited come at once when the issue session sends a command', async () => {
    stage = await setStage();
    await stage.start('shop-1');
    await stage.event('cli-started');
    stage.gateway.eventsAway = true;
    await stage.prompt('shop-1', '[script: no-change]');
    testClock.hurry(5);
    await eventually(async () => (await stage.status('shop-1')).state === 'ready', 'the end of the turn');
    testClock.calm();
    // By now the next try is seconds away.
    stage.gateway.eventsAway = false;
    await stage.stop('shop-1');
    await eventually(() => stage.lines('result').length === 1, 'the result', 3_000);
  });

  test('and work that could not be pushed are delivered when a gateway that was away is back', async () => {
    stage = await setStage({ config: { claudeBin: fileURLToPath(new URL('offline-cli.ts', import.meta.url)) } });
    await stage.start('shop-1');
    await stage.event('cli-started');
    stage.gateway.away = true;
    await stage.prompt('shop-1', 'offline.txt');
    testClock.hurry(5);
    await eventually(async () => (await stage.status('shop-1')).state === 'ready', 'the end of the save', 60_000);
    stage.gateway.away = false;
    await stage.prompt('shop-1', 'more.txt', 2);
    const saved = await stage.event('saved', (event) => event.pushed);
    expect(saved.files.map((file) => file.path)).toContain('offline.txt');
    expect(stage.eventsOf('saved')[0]?.problem).toContain('could not be reached');
    expectWhole();
  });

  test('whose acceptance was lost on the way back are not doubled', async () => {
    stage = await setStage();
    stage.gateway.loseAnswers = 5;
    await stage.start('shop-1');
    await stage.prompt('shop-1', '[script: no-change]');
    await stage.event('saved');
    expect(stage.gateway.loseAnswers).toBe(0);
    expectWhole();
    expect(stage.lines('result')).toHaveLength(1);
  });

  test('of an earlier life are posted no more: the CLI is ended, and the session is closed', async () => {
    stage = await setStage();
    await stage.start('shop-1');
    await stage.prompt('shop-1', '[script: long-text 5000 20]');
    await eventually(() => stage.lines('stream_event').length > 5, 'text');
    stage.gateway.superseded = true;
    await eventually(() => processesOf(stage, 'shop-1').length === 0, 'the end of the CLI');
    await eventually(async () => (await stage.status('shop-1')).state === 'closed', 'closed');
    const batches = stage.gateway.batches.length;
    stage.gateway.superseded = false;
    await new Promise((done) => setTimeout(done, 300));
    expect(stage.gateway.batches).toHaveLength(batches);
  });

  test('wait for a new token when the old one is refused', async () => {
    stage = await setStage();
    await stage.start('shop-1');
    await stage.event('cli-started');
    stage.gateway.token = 'a-new-session-token';
    await stage.stop('shop-1', 0);
    await new Promise((done) => setTimeout(done, 300));
    expect(stage.eventsOf('cli-exited')).toEqual([]);
    await stage.start('shop-1');
    await stage.event('cli-exited');
    await stage.prompt('shop-1', '[script: no-change]');
    expect(await stage.result()).toMatchObject({ is_error: false });
  });

  test('a long silence during a turn is filled with empty batches', async () => {
    stage = await setStage();
    stage.model.failNext({ hang: true });
    await stage.start('shop-1');
    await stage.prompt('shop-1', '[script: no-change]');
    await eventually(() => stage.lines('system').length > 0, 'the turn');
    const empty = () => stage.gateway.batches.filter(({ batch }) => batch.events.length === 0).length;
    const before = empty();
    let looks = 0;
    const heard = () => {
      // What the CLI still says of its beginning is posted, and begins another silence.
      if (looks % 100 === 0) testClock.advance(HEARTBEAT_MS);
      looks += 1;
      return empty() > before;
    };
    await eventually(heard, 'a heartbeat', 6_000);
  });
});

describe('a flood of lines', () => {
  test('of a CLI that prints as fast as it can arrives whole, in bounded batches', async () => {
    const lines = 20_000;
    stage = await setStage({ config: { claudeBin: fileURLToPath(new URL('flooding-cli.ts', import.meta.url)) } });
    await stage.start('shop-1');
    await stage.event('cli-started');
    const since = Date.now();
    const cpuBefore = process.cpuUsage();
    await stage.prompt('shop-1', `${lines}`);
    await stage.event('saved', () => true, 30_000);
    const took = Date.now() - since;
    const cpu = process.cpuUsage(cpuBefore);
    expect(stage.eventsOf('line')).toHaveLength(lines + 2);
    expectWhole();
    for (const { batch, bytes } of stage.gateway.batches) {
      expect(batch.events.length).toBeLessThanOrEqual(MAX_BATCH_EVENTS);
      if (batch.events.length > 1) expect(bytes).toBeLessThanOrEqual(MAX_BATCH_BYTES);
    }
    expect(lines / (took / 1000)).toBeGreaterThan(2_000);
    expect((cpu.user + cpu.system) / 1e6).toBeLessThan(20);
  });
});

describe('a server that is killed', () => {
  test('in the middle of a turn tells so when it runs again, saves the work, and loses no event', async () => {
    stage = await setStage();
    const root = await mkdtemp(join(tmpdir(), 'cyrus-killed-'));
    try {
      const first = await runServer(root);
      servers.push(first);
      stage.url = first.url;
      stage.root = root;
      const { streamId, bootId } = await stage.start('shop-1');
      await stage.prompt('shop-1', run('echo work > work.txt', 'node -e "setInterval(() => {}, 1000)"'));
      await eventually(() => stage.lines('user').length > 0, 'the first tool');
      // Some events are on disk and not at the gateway.
      stage.gateway.away = true;
      const { pid } = await stage.event('cli-started');
      first.child.kill('SIGKILL');
      await eventually(() => first.child.exitCode !== null || first.child.signalCode !== null, 'the end of the server');
      const second = await runServer(root);
      servers.push(second);
      stage.url = second.url;
      stage.gateway.away = false;
      expect(await stage.event('cli-exited')).toMatchObject({ duringTurn: true, cause: 'crash' });
      expect(await stage.event('saved')).toMatchObject({ turn: 1, pushed: true, newCommits: 1 });
      expect(processesOf(stage, 'shop-1')).not.toContain(pid);
      const status = await stage.start('shop-1');
      expect(status.streamId).toBe(streamId);
      expect(status.bootId).not.toBe(bootId);
      await stage.prompt('shop-1', '[script: no-change] go on', 1);
      expect(await stage.result()).toMatchObject({ is_error: false });
      expect(stage.eventsOf('cli-started').map((started) => started.resumed)).toEqual([false, true]);
      expectWhole();
    } finally {
      for (const server of servers.splice(0)) server.child.kill('SIGKILL');
      await rm(root, { recursive: true, force: true, maxRetries: 10 });
    }
  });

  test('again and again while text streams loses and doubles nothing', async () => {
    stage = await setStage();
    const root = await mkdtemp(join(tmpdir(), 'cyrus-killed-'));
    stage.root = root;
    try {
      let turn = 0;
      for (let life = 0; life < 4; life++) {
        const server = await runServer(root);
        servers.push(server);
        stage.url = server.url;
        await stage.start('shop-1');
        turn += 1;
        const known = stage.gateway.events.length;
        await stage.prompt('shop-1', '[script: long-text 400 5]', turn);
        await eventually(() => stage.gateway.events.length > known + 20 + life * 37, 'text');
        server.child.kill('SIGKILL');
        await eventually(() => server.child.signalCode !== null, 'the end of the server');
      }
      const server = await runServer(root);
      servers.push(server);
      stage.url = server.url;
      await eventually(() => stage.eventsOf('saved').some((saved) => saved.turn === turn), 'the last save');
      expectWhole();
      expect(stage.eventsOf('cli-exited').filter((exit) => exit.cause === 'crash')).toHaveLength(4);
    } finally {
      for (const server of servers.splice(0)) server.child.kill('SIGKILL');
      await rm(root, { recursive: true, force: true, maxRetries: 10 });
    }
  });

  test('gracefully saves a turn in progress and posts it before it ends', async () => {
    stage = await setStage();
    const root = await mkdtemp(join(tmpdir(), 'cyrus-ended-'));
    stage.root = root;
    try {
      const server = await runServer(root);
      servers.push(server);
      stage.url = server.url;
      await stage.start('shop-1');
      await stage.prompt('shop-1', run('echo work > work.txt', 'node -e "setInterval(() => {}, 1000)"'));
      await eventually(() => stage.lines('user').length > 0, 'the first tool');
      server.child.kill('SIGTERM');
      await eventually(() => server.child.exitCode !== null, 'the end of the server', 20_000, server.log);
      expect(server.child.exitCode).toBe(0);
      expect(stage.eventsOf('cli-exited')).toMatchObject([{ duringTurn: true, cause: 'crash' }]);
      expect(stage.eventsOf('saved')).toMatchObject([{ pushed: true, newCommits: 1 }]);
      expect(processesOf(stage, 'shop-1')).toEqual([]);
      expect(server.log()).not.toContain(stage.gateway.token);
      expect(server.log()).not.toContain(SERVER_SECRET);
    } finally {
      await rm(root, { recursive: true, force: true, maxRetries: 10 });
    }
  });
});
