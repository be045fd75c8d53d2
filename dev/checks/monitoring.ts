/**
 * Holds docs/monitoring (a Grafana dashboard and Prometheus's rules) to the metrics that the Worker has: each name and label there is in the
 * code, each metric is on the dashboard, each rule names an entry of the runbook. If promtool is installed it parses every expression, and runs
 * the rules' own tests.
 *
 * `node dev/checks/monitoring.ts [folder]`: of this project, or of the one in the folder.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve, sep } from 'node:path';
import * as z from 'zod';
import { PROJECT } from '../settings.ts';
import { anchorsOf } from './markdown.ts';

const ROOT = resolve(process.argv[2] ?? PROJECT);
const CODE = 'src/operations/metrics/collect.ts';
const DASHBOARD = 'docs/monitoring/grafana-dashboard.json';
const RULES = 'docs/monitoring/prometheus-rules.yml';
const RULE_TESTS = 'docs/monitoring/prometheus-rules.test.yml';
/** Others name metrics too. */
const PROSE = ['docs/operating.md', 'docs/scale.md'];

const problems: string[] = [];
const text = (file: string) => readFileSync(join(ROOT, file), 'utf8');

const dashboardSchema = z.object({
  panels: z.array(z.object({ title: z.string(), targets: z.array(z.object({ expr: z.string().min(1) })).min(1) })),
});

/** What is asked of Prometheus, by the place that asks. */
function expressions(): { place: string; expression: string }[] {
  const dashboard = dashboardSchema.safeParse(JSON.parse(text(DASHBOARD)));
  if (!dashboard.success) {
    problems.push(`${DASHBOARD}: ${z.prettifyError(dashboard.error)}`);
    return [];
  }
  return dashboard.data.panels.flatMap(({ title, targets }) =>
    targets.map(({ expr }) => ({ place: `${DASHBOARD}, "${title}"`, expression: expr })),
  );
}

function checkNames(): void {
  const code = text(CODE);
  const names = new Set([...code.matchAll(/'(cyrus_[a-z_]+)'/g)].map(([, name = '']) => name));
  if (names.size === 0) problems.push(`${CODE}: no metric is found there any more; correct dev/checks/monitoring.ts`);
  for (const file of [DASHBOARD, RULES, RULE_TESTS, ...PROSE]) {
    for (const [name] of text(file).matchAll(/\bcyrus_[a-z_]+/g)) {
      if (!names.has(name)) problems.push(`${file}: there is no metric ${name}`);
    }
  }
  const shown = text(DASHBOARD);
  for (const name of names) {
    if (!new RegExp(`\\b${name}\\b`).test(shown)) problems.push(`${DASHBOARD}: the metric ${name} is on no panel`);
  }
}

/** Labels, and the values that they are compared with: both are in the Worker's code. */
function checkLabels(): void {
  const code = text(CODE);
  const source = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .map((file) => `src/${file.split(sep).join('/')}`)
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
    .map(text)
    .join('\n');
  const used = [DASHBOARD, RULES, RULE_TESTS].flatMap((file) =>
    [...text(file).matchAll(/\bcyrus_[a-z_]+\{([^}]*)\}/g)].flatMap(([, selector = '']) =>
      [...selector.matchAll(/(\w+)\s*[!=]~?\s*\\?"([^"\\]*)/g)].map(([, label = '', value = '']) => ({
        file,
        label,
        value,
      })),
    ),
  );
  for (const { file, label, value } of used) {
    const isLabel = new RegExp(`\\b${label}(?:\\b|:)|'${label}'`).test(code);
    if (!isLabel) problems.push(`${file}: no metric has the label ${label}`);
    const isFree = label === 'model' || label === 'name';
    if (!isFree && !source.includes(`'${value}'`)) problems.push(`${file}: ${label} is never "${value}"`);
  }
}

function checkRunbook(): void {
  const anchors = anchorsOf(text('docs/runbook.md'));
  const rules = text(RULES)
    .split(/^ {6}- alert: /m)
    .slice(1);
  for (const rule of rules) {
    const name = rule.split('\n')[0];
    const anchor = /runbook: docs\/runbook\.md#(\S+)/.exec(rule)?.[1];
    if (anchor === undefined) problems.push(`${RULES}: ${name} names no entry of the runbook`);
    else if (!anchors.has(anchor))
      problems.push(`${RULES}: ${name} names an entry that the runbook does not have: ${anchor}`);
  }
}

/** @returns whether promtool could be asked */
function askPromtool(): boolean {
  if (spawnSync('promtool', ['--version']).error) return false;
  const folder = mkdtempSync(join(tmpdir(), 'cyrus-promtool-'));
  try {
    const rules = expressions().map(
      ({ expression }, index) => `      - { record: "panel:number${index}", expr: ${JSON.stringify(expression)} }`,
    );
    const file = join(folder, 'dashboard.yml');
    writeFileSync(file, `groups:\n  - name: dashboard\n    rules:\n${rules.join('\n')}\n`);
    for (const [args, about] of [
      [['check', 'rules', file], DASHBOARD],
      [['check', 'rules', join(ROOT, RULES)], RULES],
      [['test', 'rules', join(ROOT, RULE_TESTS)], RULE_TESTS],
    ] as const) {
      const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8' });
      if (status !== 0) problems.push(`${about}: promtool ${args.slice(0, 2).join(' ')} says:\n${stdout}${stderr}`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return true;
}

checkNames();
checkLabels();
checkRunbook();
const isParsed = askPromtool();
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
console.log(
  `docs/monitoring fits the metrics of the Worker.${isParsed ? '' : ' promtool is not installed, so no expression was parsed (Debian: apt-get install prometheus).'}`,
);
