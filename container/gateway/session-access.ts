/** How the processes of one life of a session get out: the way to the gateway, and who may use it. */

import type { SessionWall } from '../walls/session-wall.ts';
import { peerOf, SessionPeers, tellsPeers } from './peers.ts';
import { GatewayProxy } from './proxy.ts';

export interface SessionAccess {
  proxy: GatewayProxy;
  peers: SessionPeers;
  wall: SessionWall;
}

/**
 * Opens the way of a life.
 * @param gateway asked for each request
 * @param wall of the session; its user, if it has one, tells its connections from others
 * @throws if no port is to be had
 */
export async function openAccess(
  sessionDir: string,
  gateway: () => { url: string; token: string },
  wall: SessionWall,
): Promise<SessionAccess> {
  const peers = new SessionPeers(sessionDir, wall.kind === 'none');
  const server = process.getuid?.();
  const mayUse = async (socket: Parameters<typeof peerOf>[0]) => {
    const peer = await peerOf(socket);
    if (peer === null) return false;
    if (wall.uid !== null) return peer.uid === wall.uid || (peer.uid === server && peers.holds(peer));
    return peers.holds(peer);
  };
  return { proxy: await GatewayProxy.open(gateway, tellsPeers() ? mayUse : null), peers, wall };
}
