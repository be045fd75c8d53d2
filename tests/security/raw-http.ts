/** HTTP by hand: what no client library would send, such as NUL bytes, broken chunks and two lengths. */
import { connect } from 'node:net';

export interface RawAnswer {
  /** Status of the answer; 0: the connection was closed without one. */
  status: number;
  /** The beginning of the answer, at most 64 KiB. */
  text: string;
  /** No answer came within the limit. */
  isLate: boolean;
}

const MOST_KEPT = 64 * 1024;

/**
 * Sends these bytes on a connection of their own and reads the first answer.
 * @param limitMs how long the answer may take
 * @param end closes the sending side behind the bytes
 */
export function sendRaw(port: number, bytes: Uint8Array, limitMs: number, end = true): Promise<RawAnswer> {
  return new Promise((resolve) => {
    let text = '';
    let isLate = false;
    const socket = connect({ port, host: '127.0.0.1' });
    const timer = setTimeout(() => {
      isLate = true;
      socket.destroy();
    }, limitMs);
    socket.on('error', () => {});
    socket.on('data', (data: Buffer) => {
      if (text.length < MOST_KEPT) text += data.toString('latin1');
      if (isWhole(text)) socket.destroy();
    });
    socket.on('close', () => {
      clearTimeout(timer);
      resolve({ status: Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1] ?? 0), text, isLate: isLate && text === '' });
    });
    socket.on('connect', () => {
      socket.write(bytes);
      if (end) socket.end();
    });
  });
}

/** Whether the answer is there as far as it is looked at: its head, and the body that the head announces. */
function isWhole(text: string): boolean {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd < 0) return false;
  const head = text.slice(0, headEnd).toLowerCase();
  const body = text.slice(headEnd + 4);
  const length = /\ncontent-length: *(\d+)/.exec(head)?.[1];
  if (length !== undefined) return body.length >= Math.min(Number(length), MOST_KEPT - head.length);
  return /\ntransfer-encoding: *chunked/.test(head) ? body.endsWith('0\r\n\r\n') : false;
}
