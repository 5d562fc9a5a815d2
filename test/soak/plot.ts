/** The samples as one SVG: a small plot for each column, all with the same time axis. */
import { COLUMNS, type ColumnName, type Sample } from './sampler.ts';

const WIDTH = 460;
const HEIGHT = 150;
const LEFT = 62;
const TOP = 28;
const BOTTOM = 22;
const RIGHT = 14;
const PER_ROW = 2;

export function plot(samples: readonly Sample[]): string {
  const rows = Math.ceil(COLUMNS.length / PER_ROW);
  const [width, height] = [WIDTH * PER_ROW, HEIGHT * rows];
  const panels = COLUMNS.map((column, index) => {
    const x = (index % PER_ROW) * WIDTH;
    const y = Math.floor(index / PER_ROW) * HEIGHT;
    const title = column.unit === '' ? column.title : `${column.title}, ${column.unit}`;
    return `<g transform="translate(${x} ${y})">${panel(samples, column.name, title)}</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}"`,
    ` height="${height}" font-family="sans-serif" font-size="11">`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    ...panels,
    '</svg>\n',
  ].join('\n');
}

function panel(samples: readonly Sample[], name: ColumnName, title: string): string {
  const known = samples.filter((sample) => !Number.isNaN(sample[name]));
  const heading = `<text x="${LEFT}" y="18" font-weight="bold">${title}</text>`;
  if (known.length < 2) return `${heading}<text x="${LEFT}" y="60">not told</text>`;
  const most = Math.max(...known.map((sample) => sample[name]), 1);
  const endSec = known.at(-1)!.atSec;
  const [right, bottom] = [WIDTH - RIGHT, HEIGHT - BOTTOM];
  const at = (sample: Sample): string => {
    const x = LEFT + (sample.atSec / endSec) * (right - LEFT);
    const y = bottom - (sample[name] / most) * (bottom - TOP);
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  };
  return [
    heading,
    `<path d="M${LEFT} ${TOP}V${bottom}H${right}" fill="none" stroke="#999"/>`,
    `<text x="${LEFT - 6}" y="${TOP + 4}" text-anchor="end">${short(most)}</text>`,
    `<text x="${LEFT - 6}" y="${bottom + 4}" text-anchor="end">0</text>`,
    `<text x="${right}" y="${bottom + 15}" text-anchor="end">${short(endSec / 60)} min</text>`,
    `<polyline points="${known.map(at).join(' ')}" fill="none" stroke="#06c"/>`,
  ].join('');
}

function short(value: number): string {
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(2)));
}
