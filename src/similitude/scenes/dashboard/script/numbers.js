// Means and shares with their 95 % intervals, and rows in groups.

const Z = 1.959963984540054;
const BINS = 5;

function wilson(right, count) {
  const p = right / count, square = Z * Z / count;
  const middle = (p + square / 2) / (1 + square);
  const half = Z * Math.sqrt(p * (1 - p) / count + square / (4 * count)) / (1 + square);
  return { value: p, low: Math.max(0, middle - half), high: Math.min(1, middle + half), count };
}

function quantile(freedom) { // of Student's t at 0.975, by Cornish and Fisher's expansion; exact at 1 and 2
  if (freedom === 1) return 12.7062;
  if (freedom === 2) return 4.30265;
  const z = Z, n = freedom;
  return z + (z ** 3 + z) / (4 * n) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * n ** 2)
    + (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / (384 * n ** 3)
    + (79 * z ** 9 + 776 * z ** 7 + 1482 * z ** 5 - 1920 * z ** 3 - 945 * z) / (92160 * n ** 4);
}

function mean(values) {
  const count = values.length, value = values.reduce((a, b) => a + b, 0) / count;
  if (count < 2) return { value, low: null, high: null, count };
  const spread = Math.sqrt(values.reduce((a, b) => a + (b - value) ** 2, 0) / (count - 1) / count);
  return { value, low: value - quantile(count - 1) * spread, high: value + quantile(count - 1) * spread, count };
}

function boundedMean(values) { // of shares and probabilities: as `bounded_mean` of the analyses
  const count = values.length, value = values.reduce((a, b) => a + b, 0) / count, spread = value * (1 - value);
  if (count < 2) return { value, low: null, high: null, count };
  const phi = spread > 0 ? values.reduce((a, b) => a + (b - value) ** 2, 0) / (count - 1) / spread : 1;
  const k = quantile(count - 1) ** 2 * phi / count, half = Math.sqrt(k * spread + k * k / 4) / (1 + k);
  return { value, low: (value + k / 2) / (1 + k) - half, high: (value + k / 2) / (1 + k) + half, count };
}

function measured(some, measure) {
  if (measure === "count") return { value: some.length, low: null, high: null, count: some.length };
  const values = some.filter((row) => !row.error).map((row) => row[measure]).filter((value) => value !== null);
  if (!values.length) return null;
  if (measure === "right") return wilson(values.reduce((a, b) => a + b, 0), values.length);
  return measure === "probability" ? boundedMean(values) : mean(values);
}

function shown(one, measure) {
  if (one === null) return "–";
  const form = measure === "right" ? (v) => `${(100 * v).toFixed(1)}` : short;
  const unit = measure === "right" ? " %" : "";
  return form(one.value) + unit + (one.low === null ? "" : ` [${form(one.low)}, ${form(one.high)}]`);
}

function bins(one, some) {
  const known = some.filter((row) => one.values[row.index] !== null);
  if (one.byValue) {
    return one.distinct
      .map((value) => ({ name: one.label(value), brief: one.brief(value), rows: known.filter((row) => one.values[row.index] === value) }))
      .filter((bin) => bin.rows.length);
  }
  const sorted = known.map((row) => one.values[row.index]).sort((a, b) => a - b);
  const edges = [];
  for (let k = 1; k < BINS; k++) edges.push(sorted[Math.ceil(k / BINS * (sorted.length - 1))]);
  const cut = [...new Set(edges)];
  const groups = new Map();
  for (const row of known) {
    const place = cut.filter((e) => e <= one.values[row.index]).length;
    if (!groups.has(place)) groups.set(place, []);
    groups.get(place).push(row);
  }
  return [...groups.keys()].sort((a, b) => a - b).map((place) => {
    const mine = groups.get(place), values = mine.map((row) => one.values[row.index]);
    const name = `${short(Math.min(...values))} to ${short(Math.max(...values))}`;
    return { name, brief: name, rows: mine };
  });
}
