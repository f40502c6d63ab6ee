// Functions that the tests ask the page for. `page` is the Page.

/** The canvas on which the heatmap is drawn. */
function heatmapCanvas() {
  const all = [...document.querySelectorAll("#chart canvas")];
  const area = (canvas) => canvas.width * canvas.height;
  return all.reduce((largest, canvas) => (area(canvas) > area(largest) ? canvas : largest));
}

/** Show so many columns and rows around a cell. */
function zoom({ column, row, columns, rows }) {
  const { axes } = page.levels;
  const first = page.chart.heatmap.firstColumn;
  const scale = page.chart.chart.priceScale("right");
  page.chart.chart.timeScale().setVisibleLogicalRange({ from: column - columns / 2 - first, to: column + columns / 2 - first });
  scale.setAutoScale(false);
  scale.setVisibleRange({ from: axes.priceAt(row - rows / 2), to: axes.priceAt(row + rows / 2) });
}

/** The middle of the brightest cell: absolute column, row counted from the lowest. */
function brightest(skipNewest = 4) {
  const { axes, ring, newestColumn } = page.levels;
  let found = { level: -1 };
  for (let column = newestColumn - axes.columns + 1; column <= newestColumn - skipNewest; column++) {
    const start = (((column % axes.columns) + axes.columns) % axes.columns) * axes.rows;
    for (let row = 0; row < axes.rows; row++) {
      if (ring[start + row] > found.level) found = { level: ring[start + row], column, row };
    }
  }
  return found;
}

/**
 * Colours on the screen in the middle of cells in view, and those that levels and scale ask for. Cells that a candle or a
 * line covers are left out.
 */
function cellColours(count) {
  const canvas = heatmapCanvas();
  // Of a copy: a browser warns whoever reads from a canvas that it draws on again and again.
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const pixels = copy.getImageData(0, 0, canvas.width, canvas.height);
  const { axes, ring, newestColumn } = page.levels;
  const { heatmap, series, chart, replica } = page.chart;
  const { fold, offset } = heatmap.texture;
  const ratio = canvas.width / canvas.clientWidth;
  const { first, last } = page.chart.visibleColumns();
  const { top, bottom } = page.chart.visiblePrices();
  const wanted = new Uint8Array(heatmap.palette.buffer);
  const found = [];
  let seed = 12345;
  const random = (below) => (seed = (seed * 48271) % 2147483647) % below;
  for (let tried = 0; tried < 200 * count && found.length < count; tried++) {
    const column = first + 1 + random(Math.max(1, last - first - 1));
    const price = bottom + (top - bottom) * (0.03 + 0.94 * (random(10000) / 10000));
    const row = axes.rowAt(price);
    if (row < 0 || row >= axes.rows || column > newestColumn) continue;
    const folded = Math.floor((row + offset) / fold);
    const [low, high] = [folded * fold - offset, (folded + 1) * fold - offset];
    const candle = replica.candles.get(column);
    const margin = 2 * axes.rowHeight * fold;
    const near = (value) => value >= axes.priceAt(low) - margin && value <= axes.priceAt(high) + margin;
    if (near(page.chart.lastPrice)) continue;
    const edges = candle?.map((units) => Number(units) / axes.priceUnit);
    if (edges && edges[2] <= axes.priceAt(high) + margin && edges[1] >= axes.priceAt(low) - margin) continue;
    const start = (((column % axes.columns) + axes.columns) % axes.columns) * axes.rows;
    let usd = 0;
    for (let at = Math.max(0, low); at < Math.min(axes.rows, high); at++) usd += usdOf(ring[start + at]);
    const level = fold === 1 ? ring[start + row] : levelOf(usd);
    const x = Math.round(chart.timeScale().logicalToCoordinate(column - heatmap.firstColumn) * ratio);
    const y = Math.round(series.priceToCoordinate((axes.priceAt(low) + axes.priceAt(high)) / 2) * ratio);
    if (x < 0 || y < 0 || x >= canvas.width || y >= canvas.height) continue;
    const at = 4 * (y * canvas.width + x);
    found.push({
      level,
      seen: [...pixels.data.subarray(at, at + 3)],
      wanted: [...wanted.subarray(4 * level, 4 * level + 3)],
      place: [column, row],
    });
  }
  return found;
}

/** USD of a level and back, written from proto/README.md and not from the page. */
function usdOf(level) {
  const start = (n) => (n < 8 ? n * 64 : (8 + (n & 7)) * 2 ** ((n >> 3) + 5));
  return level === 0 ? 0 : (2 * start(level) * start(level + 1)) / (start(level) + start(level + 1));
}

function levelOf(usd) {
  const x = BigInt(Math.floor(usd)) >> 6n;
  if (x < 8n) return Number(x);
  const msb = BigInt(x.toString(2).length - 1);
  return Math.min(255, Number(((msb - 2n) << 3n) + ((x >> (msb - 3n)) & 7n)));
}

/** crc32 of what is drawn. */
async function ringSum(ring = page.levels.ring) {
  return (await import("/static/stream/crc32.js")).crc32(ring);
}

/** Text in view whose contrast is too low, with what it is. */
function faintText(least) {
  const luminance = ([r, g, b]) => {
    const part = (value) => (value <= 10.31475 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const numbers = (colour) => (colour.match(/[\d.]+/g) ?? []).map(Number);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const [r, g, b, alpha = 1] = numbers(getComputedStyle(at).backgroundColor);
      if (alpha > 0.8) return [r, g, b];
    }
    return [11, 14, 19];
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || !element.checkVisibility() || element.tagName === "NOSCRIPT") continue;
    const [text, behind] = [luminance(numbers(getComputedStyle(element).color)), luminance(ground(element))];
    const contrast = (Math.max(text, behind) + 0.05) / (Math.min(text, behind) + 0.05);
    if (contrast < least) faint.push(`${node.textContent.trim().slice(0, 40)}: ${contrast.toFixed(2)}`);
  }
  return faint;
}
