/**
 * Claude's API as far as `bench:gateway` needs it, in a process of its own: each request is read whole and answered with an
 * event stream, whose first event goes out at once.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const EVENTS = 20;
const EVENT = `event: content_block_delta\ndata: ${JSON.stringify({
  type: 'content_block_delta',
  index: 0,
  delta: { type: 'text_delta', text: 'words and words ' },
})}\n\n`;

const server = createServer((request, response) => {
  request.resume();
  request.once('end', () => {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'request-id': 'req_bench' });
    let sent = 0;
    const timer = setInterval(() => {
      response.write(EVENT);
      sent += 1;
      if (sent < EVENTS) return;
      clearInterval(timer);
      response.end();
    }, 1);
    response.write(EVENT);
  });
});
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
