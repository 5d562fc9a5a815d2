/** SVG plots by ECharts on the server side: no browser, no DOM. */

import { BarChart, LineChart } from 'echarts/charts';
import {
  GridComponent,
  LegendComponent,
  MarkLineComponent,
  TitleComponent,
} from 'echarts/components';
import { init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import type { Series } from '../curve.ts';

use([BarChart, LineChart, GridComponent, LegendComponent, MarkLineComponent]);
use([TitleComponent, SVGRenderer]);

const WIDTH = 860;
const HEIGHT = 400;
const ROW_HEIGHT = 22;
const FRAME_HEIGHT = 100;
/** Ours first; the eye finds it in every plot. */
const COLOURS = ['#c2410c', '#1d4ed8', '#15803d', '#7c3aed', '#a16207', '#be185d', '#0e7490'];
const MISSED = '#b91c1c';
const MET = '#15803d';

type Options = Parameters<ReturnType<typeof init>['setOption']>[0];

function svgOf(option: Options, height = HEIGHT): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  const frame = { animation: false, backgroundColor: '#fff', color: COLOURS };
  chart.setOption({ ...frame, ...(option as object) });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

export interface Axes {
  readonly title: string;
  readonly x: string;
  readonly y: string;
}

const heading = (text: string) => ({ text, left: 'center', textStyle: { fontSize: 14 } });
const GRID = { left: 70, right: 40, top: 80, bottom: 50 };

/** Where a logarithmic axis begins. */
function powerBelow(values: readonly number[]): number {
  const least = Math.min(...values.filter((value) => value > 0));
  return Number.isFinite(least) ? 10 ** Math.floor(Math.log10(least * 0.999)) : 1;
}

/** Both axes grow by factors: a flat line is flat, and a proportional one has slope one. */
export function curvePlot({ title, x, y }: Axes, series: readonly Series[]): string {
  const values = series.flatMap(({ points }) => points.map((point) => point[1]));
  return svgOf({
    title: heading(title),
    grid: GRID,
    legend: { top: 36 },
    xAxis: { type: 'log', name: x, nameLocation: 'middle', nameGap: 30 },
    yAxis: { type: 'log', name: y, min: powerBelow(values) },
    series: series.map(({ label, points }) => ({
      ...{ type: 'line', name: label, data: points, symbolSize: 6 },
    })),
  } as Options);
}

/** Percentiles spread by how rare they are: 90, 99, 99.9 … lie equally far from each other. */
export function latencyPlot(title: string, series: readonly Series[]): string {
  const rare = (percent: number) => -Math.log10(Math.max(1e-5, 1 - percent / 100));
  return svgOf({
    title: heading(title),
    grid: GRID,
    legend: { top: 36 },
    xAxis: {
      ...{ type: 'value', min: 0, max: 5, interval: 1, name: 'percentile' },
      ...{ nameLocation: 'middle', nameGap: 30 },
      axisLabel: {
        formatter: (nines: number) => String(Number((100 - 10 ** (2 - nines)).toFixed(3))),
      },
    },
    yAxis: { type: 'log', name: 'us' },
    series: series.map(({ label, points }) => ({
      ...{ type: 'line', name: label, showSymbol: false },
      data: points.map(([percent, us]) => [rare(percent), Math.max(1, us)]),
    })),
  } as Options);
}

export interface Bar {
  readonly label: string;
  /** Measured over promised. */
  readonly times: number;
}

/** How far each figure is above or below what was promised. */
export function targetsPlot(title: string, bars: readonly Bar[]): string {
  const up = bars.toReversed();
  const data = up.map(({ times }) => ({
    value: Number(times.toFixed(3)),
    itemStyle: { color: times >= 1 ? MET : MISSED },
  }));
  const option = {
    title: heading(title),
    grid: { left: 430, right: 60, top: 40, bottom: 40 },
    xAxis: { type: 'log', name: 'x', min: powerBelow(up.map(({ times }) => times)) },
    yAxis: {
      ...{ type: 'category', data: up.map(({ label }) => label) },
      axisLabel: { interval: 0, fontSize: 11 },
    },
    series: [
      {
        ...{ type: 'bar', data, label: { show: true, position: 'right', fontSize: 11 } },
        markLine: { symbol: 'none', data: [{ xAxis: 1 }], label: { formatter: 'target' } },
      },
    ],
  };
  return svgOf(option as Options, FRAME_HEIGHT + bars.length * ROW_HEIGHT);
}
