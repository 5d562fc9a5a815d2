/** What the process itself tells: memory, CPU time, open files, delay of the event loop. */
import { readdirSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, type Family, Gauge, pendingTimers } from '#kit';

const NS_PER_SECOND = 1e9;
const NS_PER_MS = 1e6;
const US_PER_SECOND = 1e6;
/** How often the delay of the event loop is measured. */
const DELAY_RESOLUTION_MS = 20;

type DelayHistogram = ReturnType<typeof monitorEventLoopDelay>;

let delay: DelayHistogram | null = null;

/** Starts to measure the event loop; the figures are those since the last look. */
export function watchEventLoop(): void {
  delay ??= monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  delay.enable();
}

export function processFamilies(): Family[] {
  const memory = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  const startSeconds = (performance.timeOrigin / 1000) | 0;
  const families = [
    gauge('process_resident_memory_bytes', 'Resident memory.', memory.rss),
    gauge('process_start_time_seconds', 'Start of the process, Unix time.', startSeconds),
    counter('process_cpu_seconds_total', 'CPU time used.', (user + system) / US_PER_SECOND),
    gauge('nodejs_heap_size_used_bytes', 'JavaScript heap in use.', memory.heapUsed),
    gauge('nodejs_heap_size_total_bytes', 'JavaScript heap reserved.', memory.heapTotal),
    gauge('nodejs_external_memory_bytes', 'Memory of buffers outside the heap.', memory.external),
    gauge('process_pending_timers', 'Timers that are armed.', pendingTimers()),
  ];
  const files = openFiles();
  if (files !== null) families.push(gauge('process_open_fds', 'Open file descriptors.', files));
  if (delay !== null) families.push(...delayFamilies(delay));
  return families;
}

function delayFamilies(histogram: DelayHistogram): Family[] {
  const name = 'nodejs_eventloop_delay_seconds';
  const help = 'Delay of the event loop since the last scrape.';
  const series = (['0.5', '0.99', '1'] as const).map((quantile) => {
    const ns = histogram.count === 0 ? 0 : histogram.percentile(Number(quantile) * 100);
    // What is recorded is the time from one tick of its timer to the next.
    const delayNs = Math.max(0, ns - DELAY_RESOLUTION_MS * NS_PER_MS);
    return { labels: { quantile }, instrument: gaugeOf(delayNs / NS_PER_SECOND) };
  });
  histogram.reset();
  return [{ name, help, kind: 'gauge', series }];
}

function openFiles(): number | null {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return null;
  }
}

function gauge(name: string, help: string, value: number): Family {
  return { name, help, kind: 'gauge', series: [{ labels: {}, instrument: gaugeOf(value) }] };
}

function counter(name: string, help: string, value: number): Family {
  const instrument = new Counter();
  instrument.add(value);
  return { name, help, kind: 'counter', series: [{ labels: {}, instrument }] };
}

function gaugeOf(value: number): Gauge {
  const instrument = new Gauge();
  instrument.set(value);
  return instrument;
}
