/** Metrics in the Prometheus text exposition format, version 0.0.4. */
import { Counter, type Family, Gauge, type Histogram, type Labels } from '#kit';

export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export function renderMetrics(families: Iterable<Family>): string {
  const lines: string[] = [];
  for (const { name, help, kind, series } of families) {
    lines.push(`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${kind}`);
    for (const { labels, instrument } of series) {
      if (instrument instanceof Counter || instrument instanceof Gauge) {
        lines.push(`${name}${labelText(labels)} ${numberText(instrument.value)}`);
      } else histogramLines(name, labels, instrument, lines);
    }
  }
  return `${lines.join('\n')}\n`;
}

function histogramLines(name: string, labels: Labels, histogram: Histogram, lines: string[]): void {
  let cumulative = 0;
  for (const [index, count] of histogram.counts.entries()) {
    cumulative += count;
    const le = numberText(histogram.bounds[index] ?? Number.POSITIVE_INFINITY);
    lines.push(`${name}_bucket${labelText({ ...labels, le })} ${cumulative}`);
  }
  lines.push(`${name}_sum${labelText(labels)} ${numberText(histogram.sum)}`);
  lines.push(`${name}_count${labelText(labels)} ${histogram.count}`);
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  return String(value);
}
