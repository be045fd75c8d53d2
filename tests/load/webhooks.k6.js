/**
 * The burst of `npm run load` for k6 (grafana.com/docs/k6), against any deployment that is yours to load:
 *
 *   k6 run -e URL=https://cyrus.example.workers.dev -e SECRET=$LINEAR_WEBHOOK_SECRET -e ORGANIZATION=<organization id> tests/load/webhooks.k6.js
 *
 * Each delivery begins a session on an issue that is not there, so pause the deployment before (npm run settings -- set PAUSED true), and let
 * the workspace's burst through (npm run settings -- set WEBHOOK_BURST 0). Afterwards erase the workspace, which is best one of its own.
 */

import { uuidv4 } from 'https://jslib.k6.io/k6-utils/1.4.0/index.js';
import { check } from 'k6';
import crypto from 'k6/crypto';
import http from 'k6/http';

export const options = {
  scenarios: { burst: { executor: 'shared-iterations', vus: 1000, iterations: 6000, maxDuration: '5m' } },
  thresholds: { http_req_duration: ['p(99)<250'], http_req_failed: ['rate==0'], checks: ['rate==1'] },
};

export default function burst() {
  const issueId = uuidv4();
  const agentSessionId = uuidv4();
  const issue = { id: issueId, identifier: `LOAD-${__ITER + 1}`, title: 'Load', url: 'https://linear.app/load' };
  const body = JSON.stringify({
    type: 'AgentSessionEvent',
    action: 'created',
    organizationId: __ENV.ORGANIZATION,
    appUserId: 'load',
    webhookTimestamp: Date.now(),
    agentSession: { id: agentSessionId, issueId, issue, creatorId: 'load', creator: { id: 'load', name: 'Load' } },
    promptContext: null,
    guidance: null,
  });
  const headers = {
    'content-type': 'application/json',
    'linear-delivery': uuidv4(),
    'linear-event': 'AgentSessionEvent',
    'linear-signature': crypto.hmac('sha256', __ENV.SECRET, body, 'hex'),
  };
  const url = `${__ENV.URL}/webhooks/linear`;
  const first = http.post(url, body, { headers });
  check(first, { 'taken in': (response) => response.json('outcome') === 'accepted' });
  check(http.post(url, body, { headers }), { 'taken in once': (response) => response.json('outcome') === 'duplicate' });
}
