/** A request by node's own client, over the scheme that the address names. */
import { type ClientRequest, request as plainRequest, type RequestOptions } from 'node:http';
import { request as secureRequest } from 'node:https';

/** @throws TypeError for headers that are none */
export function requestTo(url: URL, options: RequestOptions): ClientRequest {
  return url.protocol === 'https:' ? secureRequest(url, options) : plainRequest(url, options);
}
