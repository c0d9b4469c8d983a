// Charts, drawn as boxes and SVG lines with the page's own colours: trends, stacked bars, lines.

import { node } from "../shell/dom.js";

const SVG = "http://www.w3.org/2000/svg";
const MAX_LABELS = 6;
const MAX_TICKS = 4;

/**
 * `values` are in the order of the buckets.
 * @typedef {{name: string, color: string, values: (number | null)[]}} Series
 * @typedef {{title: string, labels: string[], series: Series[], format: (value: number) => string}} ChartData
 */

/**
 * @param {string} tag
 * @param {Record<string, string>} attributes
 * @param {...Node} children
 */
function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/**
 * Lines through points, with a gap where a value is missing.
 * @param {(number | null)[]} values
 * @param {(index: number, value: number) => string} point
 * @param {string} className
 */
function polylines(values, point, className = "") {
  /** @type {string[][]} */
  const lines = [[]];
  values.forEach((value, index) => {
    if (value === null) lines.push([]);
    else lines[lines.length - 1].push(point(index, value));
  });
  // A single point is doubled, so that its round ends show.
  return lines.filter((line) => line.length).map((line) =>
    svg("polyline", { class: className, points: (line.length > 1 ? line : [line[0], line[0]]).join(" ") }));
}

/** A small line without axes, for a card. @param {(number | null)[]} values */
export function trendLine(values) {
  const top = Math.max(0, ...values.filter((value) => value !== null));
  const lines = values.length < 2 || top === 0 ? [] : polylines(values,
    (index, value) => `${(index * 100 / (values.length - 1)).toFixed(1)},${(22 - 20 * value / top).toFixed(1)}`);
  return svg("svg", { class: "ss-trend", viewBox: "0 0 100 24", preserveAspectRatio: "none", "aria-hidden": "true" }, ...lines);
}

/** Stacked bars, one for each bucket. @param {ChartData} data */
export function barChart(data) {
  const totals = data.labels.map((_, index) => data.series.reduce((sum, one) => sum + (one.values[index] ?? 0), 0));
  const ticks = axisTicks(Math.max(0, ...totals), true);
  const top = ticks[ticks.length - 1];
  return chart(data, ticks, (index) => data.series.filter((one) => one.values[index]).map((one) =>
    node("i", { class: `ss-bar--${one.color}`, style: `height: ${100 * (one.values[index] ?? 0) / top}%` })));
}

/** Lines over buckets. @param {ChartData} data */
export function lineChart(data) {
  const ticks = axisTicks(Math.max(0, ...data.series.flatMap((one) => one.values).filter((value) => value !== null)));
  const top = ticks[ticks.length - 1];
  const lines = data.series.flatMap((one) => polylines(one.values, (index, value) =>
    `${(100 * (index + 0.5) / data.labels.length).toFixed(2)},${(100 - 100 * value / top).toFixed(2)}`, `ss-stroke--${one.color}`));
  return chart(data, ticks, () => [],
    svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" }, ...lines));
}

/**
 * A chart's frame: title, axes, legend, and a box for each bucket that shows its values when it is pointed at.
 * @param {ChartData} data
 * @param {number[]} ticks
 * @param {(index: number) => HTMLElement[]} content what a bucket's box holds
 * @param {Element[]} overlay
 */
function chart({ title, labels, series, format }, ticks, content, ...overlay) {
  const top = ticks[ticks.length - 1];
  const step = Math.max(1, Math.ceil(labels.length / MAX_LABELS));
  const plot = node("div", { class: "ss-plot" },
    ticks.map((tick) => node("span", { class: "ss-tick", style: `bottom: ${100 * tick / top}%` }, format(tick))),
    labels.map((label, index) => node("div", { class: "ss-bucket", title: [label, ...series
      .map((one) => [one.name, one.values[index]]).filter(([, value]) => value !== null && value !== undefined)
      .map(([name, value]) => `${name}: ${format(Number(value))}`)].join("\n") }, content(index))));
  plot.append(...overlay);
  return node("figure", { class: "ss-card ss-chart", "aria-label": title }, node("figcaption", {}, title), plot,
    node("div", { class: "ss-axis", "aria-hidden": "true" }, labels.map((label, index) => (index % step ? null
      : node("span", { style: `left: ${100 * (index + 0.5) / labels.length}%` }, label)))),
    node("ul", { class: "ss-legend" }, series.map((one) => node("li", {}, node("i", { class: `ss-bar--${one.color}` }), one.name))));
}

/**
 * Round values from 0 to at least `max`: steps of 1, 2 or 5 times a power of ten.
 * @param {number} max
 * @param {boolean} isWhole
 */
function axisTicks(max, isWhole = false) {
  const rough = (max || 1) / MAX_TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const nice = (/** @type {number[]} */ ([1, 2, 5, 10]).find((factor) => factor * power >= rough) ?? 10) * power;
  const step = isWhole ? Math.max(1, nice) : nice;
  return Array.from({ length: Math.max(1, Math.ceil(max / step)) + 1 }, (_, index) => index * step);
}
