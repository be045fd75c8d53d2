/** How the processes of one life of a session get out: the way to the gateway, and who may use it. */
import { GatewayProxy } from './gateway-proxy.ts';
import { peerOf, SessionPeers, tellsPeers } from './peers.ts';

export interface SessionAccess {
  proxy: GatewayProxy;
  peers: SessionPeers;
}

/**
 * Opens the way of a life.
 * @param gateway asked for each request
 * @throws where no port is to be had
 */
export async function openAccess(
  sessionDir: string,
  gateway: () => { url: string; token: string },
): Promise<SessionAccess> {
  const peers = new SessionPeers(sessionDir, true);
  const mayUse = async (socket: Parameters<typeof peerOf>[0]) => {
    const peer = await peerOf(socket);
    return peer !== null && peers.holds(peer);
  };
  return { proxy: await GatewayProxy.open(gateway, tellsPeers() ? mayUse : null), peers };
}
