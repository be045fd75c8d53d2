/** Metrics as Prometheus takes them (pure): https://prometheus.io/docs/instrumenting/exposition_formats, text format 0.0.4. */

/** One number, with what it is about. */
export interface Sample {
  labels: Readonly<Record<string, string>>;
  value: number;
}

/** All numbers of one name. Names follow prometheus.io/docs/practices/naming: base units, `_total` for what only grows. */
export interface Family {
  name: `cyrus_${string}`;
  type: 'gauge' | 'counter';
  help: string;
  samples: readonly Sample[];
}

export const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** The families as text; those without a number are left out. */
export function prometheusText(families: readonly Family[]): string {
  const parts = families
    .filter(({ samples }) => samples.length > 0)
    .map(({ name, type, help, samples }) => {
      const lines = samples.map(({ labels, value }) => `${name}${labelsText(labels)} ${numberText(value)}`);
      return [`# HELP ${name} ${escaped(help, /[\\\n]/g)}`, `# TYPE ${name} ${type}`, ...lines].join('\n');
    });
  return parts.length === 0 ? '' : `${parts.join('\n')}\n`;
}

function labelsText(labels: Sample['labels']): string {
  const entries = Object.entries(labels);
  if (entries.length === 0) return '';
  return `{${entries.map(([name, value]) => `${name}="${escaped(value, /[\\\n"]/g)}"`).join(',')}}`;
}

function escaped(text: string, special: RegExp): string {
  return text.replace(special, (one) => (one === '\n' ? '\\n' : `\\${one}`));
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (Number.isFinite(value)) return String(value);
  return value > 0 ? '+Inf' : '-Inf';
}
