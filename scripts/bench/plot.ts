/** Results as an SVG: a panel for each step of each set of data, a bar for each program. Seconds, shorter is better. */
import { medianOf, ours, type Results, type Run, type StepName } from './results.ts';

const steps: readonly (readonly [StepName, string])[] = [
  ['first', 'first backup'],
  ['again', 'again, unchanged'],
  ['changed', 'changed'],
  ['restore', 'restore'],
  ['prune', 'forget 1 of 7, prune'],
  ['replicate', '10,000 objects S3 to S3'],
];
const panelWidth = 290;
const columns = 3;
const barHeight = 16;
const barGap = 4;
const nameWidth = 104;
const valueWidth = 46;
const titleHeight = 28;
const margin = 16;

export function plot(results: Results): string {
  const panels = Object.entries(results.runs).flatMap(([data, run]) => steps.flatMap(([step, title]) => panel(`${data}: ${title}`, run, step)));
  const rows = Array.from({ length: Math.ceil(panels.length / columns) }, (_, i) => panels.slice(i * columns, (i + 1) * columns));
  let y = margin;
  const groups: string[] = [];
  for (const row of rows) {
    groups.push(...row.map(({ body }, i) => `<g transform="translate(${margin + i * (panelWidth + margin)},${y})">${body}</g>`));
    y += Math.max(...row.map(({ height }) => height)) + margin;
  }
  const width = columns * (panelWidth + margin) + margin;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" width="${width}" height="${y}" font-family="sans-serif" font-size="12">`,
    '<title>Seconds of each program for each step; shorter is better</title>',
    `<rect width="${width}" height="${y}" fill="#ffffff"/>`,
    ...groups,
    '</svg>',
    '',
  ].join('\n');
}

interface Panel {
  readonly body: string;
  readonly height: number;
}

function panel(title: string, run: Run, step: StepName): Panel[] {
  const bars = Object.keys(run.programs).flatMap((program) => {
    const seconds = medianOf(run, program, step, 'seconds');
    return seconds === undefined ? [] : [{ program, seconds }];
  });
  if (bars.length === 0) return [];
  const longest = Math.max(...bars.map(({ seconds }) => seconds));
  const scale = (panelWidth - nameWidth - valueWidth) / longest;
  const lines = bars.map(({ program, seconds }, i) => {
    const y = titleHeight + i * (barHeight + barGap);
    const isOurs = program === ours;
    const width = Math.max(1, seconds * scale).toFixed(1);
    return [
      `<text x="${nameWidth - 6}" y="${y + 12}" text-anchor="end" fill="#333333"${isOurs ? ' font-weight="bold"' : ''}>${escapeText(program)}</text>`,
      `<rect x="${nameWidth}" y="${y}" width="${width}" height="${barHeight}" fill="${isOurs ? '#0b6bcb' : '#b9c3ce'}"/>`,
      `<text x="${(nameWidth + Number(width) + 5).toFixed(1)}" y="${y + 12}" fill="#333333">${seconds.toFixed(2)}</text>`,
    ].join('');
  });
  const heading = `<text x="0" y="16" font-size="13" font-weight="bold" fill="#111111">${escapeText(title)}</text>`;
  return [{ body: [heading, ...lines].join(''), height: titleHeight + bars.length * (barHeight + barGap) }];
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
