/** What a request to the gateway asks for, in the words of the table in gateway/openings.ts. Pure. */
import type { Ask } from '../../gateway/openings.ts';

/**
 * @param path below the gateway's address, as its routes match it
 * @param search the query, with its question mark
 */
export function askOf(method: string, path: string, search: string): Ask {
  const [, surface = '', ...rest] = path.split('/');
  switch (surface) {
    case 'anthropic':
      return 'claude';
    case 'mcp':
      return 'tools';
    case 'git':
      return gitAsk(method, path, search);
    case 'modules':
      return 'read-git';
    case 'patch':
      return 'patch';
    case 'shared':
      return 'share';
    case 'checkpoint':
      return method === 'GET' ? 'restore' : 'checkpoint';
    case 'cache':
      if (method === 'GET') return 'read-cache';
      return (rest[0] ?? '').startsWith('base-') ? 'keep-bundle' : 'keep-setup';
    default:
      // Events, and addresses that there are none of: neither is more than hearing what the sandbox says.
      return 'report';
  }
}

function gitAsk(method: string, path: string, search: string): Ask {
  if (path.endsWith('/git-receive-pack')) return 'push';
  if (path.endsWith('/info/refs') && search.includes('git-receive-pack')) return 'ask-push';
  // An object of Git LFS is sent before the push that needs it.
  return path.includes('/info/lfs/') && method === 'PUT' ? 'push' : 'read-git';
}
