import { Hono } from 'hono';
import { describe, expect, it } from 'vitest';
import { RememberingRouter } from '../../src/routes/middleware/remembering-router.ts';

const app = new Hono({ router: new RememberingRouter() });
app.use(async (c, next) => {
  await next();
  c.header('x-seen', 'yes');
});
app.post('/hooks/linear', (c) => c.text('hook'));
app.get('/repositories/:owner/:rest{.+/servers}', (c) => c.text(`servers of ${c.req.param('rest')}`));
app.get('/repositories/:owner/:name{.+}', (c) => c.text(`repository ${c.req.param('name')}`));
app.get('*', (c) => c.text(`page ${c.req.query('q') ?? ''}`));

const ask = async (method: string, path: string) => {
  const response = await app.request(path, { method });
  return [response.status, await response.text(), response.headers.get('x-seen')];
};

describe('the router', () => {
  it('answers an address without parameters the same each time, by its method, with every middleware', async () => {
    for (let time = 1; time <= 3; time++) {
      expect(await ask('POST', '/hooks/linear')).toEqual([200, 'hook', 'yes']);
      expect(await ask('GET', '/hooks/linear')).toEqual([200, 'page ', 'yes']);
      expect(await ask('GET', `/hooks/linear?q=${time}`)).toEqual([200, `page ${time}`, 'yes']);
      expect((await ask('PUT', '/hooks/linear'))[0]).toBe(404);
    }
  });

  it('takes names with slashes in them, which are another one each time', async () => {
    for (const name of ['shop', 'group/shop', 'a/b/c']) {
      expect(await ask('GET', `/repositories/acme/${name}`)).toEqual([200, `repository ${name}`, 'yes']);
      expect(await ask('GET', `/repositories/acme/${name}/servers`)).toEqual([
        200,
        `servers of ${name}/servers`,
        'yes',
      ]);
    }
  });

  it('answers as before when more methods were made up than it remembers', async () => {
    for (let number = 0; number < 1_000; number++) expect((await ask(`M${number}`, '/hooks/linear'))[0]).toBe(404);
    expect(await ask('POST', '/hooks/linear')).toEqual([200, 'hook', 'yes']);
  });
});
