import { spawnSync } from 'node:child_process';
import { afterAll, describe, expect, it } from 'vitest';
import { prometheusText } from '../../src/operations/metrics/families.ts';
import { CheckCopy } from './check-copy.ts';

const copy = new CheckCopy('dev/checks/monitoring.ts', ['src', 'docs']);
afterAll(() => copy.remove());
const DASHBOARD = 'docs/monitoring/grafana-dashboard.json';
const RULES = 'docs/monitoring/prometheus-rules.yml';
const hasPromtool = spawnSync('promtool', ['--version']).error === undefined;

describe('the check of the dashboard and the rules', () => {
  it('passes the project as it is', () => {
    expect(copy.run()).toEqual({ status: 0, said: expect.stringContaining('fits the metrics') });
  });

  it.each([
    ['a metric on the dashboard that is not there', DASHBOARD, 'cyrus_ready', 'cyrus_steady', 'no metric cyrus_steady'],
    ['a metric in a rule that is not there', RULES, 'cyrus_ready ==', 'cyrus_steady ==', 'no metric cyrus_steady'],
    [
      'a metric that is on no panel',
      'src/operations/metrics/collect.ts',
      "'cyrus_ready'",
      "'cyrus_novel'",
      'the metric cyrus_novel is on no panel',
    ],
    ['a label that no metric has', RULES, '{phase="queued"}', '{stage="queued"}', 'no metric has the label stage'],
    ['a value that no label has', RULES, '{phase="queued"}', '{phase="asleep"}', 'phase is never "asleep"'],
    [
      'a rule without an entry of the runbook',
      RULES,
      'docs/runbook.md#queuewait',
      'docs/runbook.md#gone',
      'names an entry that the runbook does not have: gone',
    ],
  ])('refuses %s', (_, file, before, after, problem) => {
    expect(copy.runWith(file, before, after)).toEqual({ status: 1, said: expect.stringContaining(problem) });
  });

  it.skipIf(!hasPromtool)('has Prometheus itself parse every expression, and try the rules on made-up numbers', () => {
    expect(copy.runWith(DASHBOARD, '"cyrus_ready"', '"sum(cyrus_ready"').said).toContain('promtool check rules says');
    expect(copy.runWith(RULES, 'cyrus_ready == 0', 'cyrus_ready == 1').said).toContain('promtool test rules says');
  });
});

it.skipIf(!hasPromtool)('Prometheus takes metrics in the text of the Worker, whatever a label has', () => {
  const labels = { name: 'a "quoted" \\ token\nof two lines' };
  const input = prometheusText([
    { name: 'cyrus_turns_total', type: 'counter', help: 'Turns that began.', samples: [{ labels: {}, value: 9 }] },
    { name: 'cyrus_database_bytes', type: 'gauge', help: 'Size\nof D1.', samples: [{ labels, value: 1.5e300 }] },
    { name: 'cyrus_ready', type: 'gauge', help: 'Ready.', samples: [{ labels, value: Number.NaN }] },
  ]);
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' });
  expect({ status, said: stdout + stderr }).toEqual({ status: 0, said: '' });
});
