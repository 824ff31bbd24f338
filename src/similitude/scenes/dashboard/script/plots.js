// Drawings: a mark for each value of a factor, or for each scene.

const W = 720, PLOT = 252, LEFT = 64, RIGHT = 14, TOP = 14, BOTTOM = 74;
const SLANT = 28; // degrees of labels that are wider than their place
const MANY = 40; // places that are too many for labels

const pen = document.createElement("canvas").getContext("2d");

function widest(labels, size) {
  pen.font = `${size}px ${getComputedStyle(document.body).fontFamily}`;
  return Math.max(0, ...labels.map((text) => pen.measureText(text).width));
}

// Room that labels below and beside a drawing take: the first of the slanted ones ends to the left of its place.
function room(below, beside = []) {
  const least = Math.max(LEFT, beside.length ? widest(beside, 11) + 36 : 0), wide = widest(below, 13);
  const turned = below.length > 0 && wide > (W - least - RIGHT) / below.length - 6;
  if (!turned) return { left: least, bottom: BOTTOM, turned };
  const angle = SLANT * Math.PI / 180, half = 1 / (2 * below.length);
  const first = (wide * Math.cos(angle) + 8 - half * (W - RIGHT)) / (1 - half);
  return { left: Math.max(least, first), bottom: Math.max(BOTTOM, wide * Math.sin(angle) + 46), turned };
}

function frame(title, yName, low, high, { left, bottom }, named = false) {
  const height = TOP + PLOT + bottom;
  const svg = draw("svg", { viewBox: `0 0 ${W} ${height}`, role: "img", "aria-label": title, class: "plot" });
  const y = (value) => TOP + PLOT * (high - value) / (high - low || 1);
  for (const tick of ticks(low, high)) {
    svg.append(draw("line", { x1: left, x2: W - RIGHT, y1: y(tick), y2: y(tick), class: "gridline" }));
    if (!named) svg.append(draw("text", { x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, short(tick)));
  }
  const beside = named ? 14 : left - 50;
  svg.append(draw("text", { transform: `translate(${beside} ${TOP + PLOT / 2}) rotate(-90)`, "text-anchor": "middle" }, yName));
  return [svg, y];
}

function below(svg, x, text, turned) {
  const end = TOP + PLOT;
  svg.append(turned
    ? draw("text", { transform: `translate(${x + 4} ${end + 16}) rotate(${-SLANT})`, "text-anchor": "end" }, text)
    : draw("text", { x, y: end + 20, "text-anchor": "middle" }, text));
}

function titled(svg, name, { left, bottom }) {
  svg.append(draw("text", { x: (W + left) / 2, y: TOP + PLOT + bottom - 6, "text-anchor": "middle", class: "axis" }, name));
}

function ticks(low, high) {
  const rough = (high - low) / 5 || 1, ten = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((k) => k * ten).find((k) => k >= rough);
  const out = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9; k++) out.push(k * step);
  return out;
}

function span(values, measure) {
  if (measure === "right" || measure === "probability") return [0, 1];
  const low = measure === "count" ? 0 : Math.min(...values), high = Math.max(...values), room = 0.06 * (high - low) || 0.5;
  return [measure === "count" || low >= 0 && low - room < 0 ? 0 : low - room, high + room];
}

function marks(some, across) {
  const measure = state.measure;
  const groups = bins(across, some).map((bin) => ({ ...bin, one: measured(bin.rows, measure) })).filter((bin) => bin.one !== null);
  if (!groups.length) return el("p", { className: "muted", textContent: "These scenes have no such number." });
  const ends = groups.flatMap(({ one }) => [one.value, one.low, one.high]).filter((value) => value !== null);
  const words = groups.map(({ name, one }) => `${name}: ${shown(one, measure)}`).join("; ");
  const labels = groups.length < MANY ? groups.map(({ brief }) => brief) : [], space = room(labels);
  const [svg, y] = frame(`${named(measure)} by ${across.name}. ${words}`, named(measure), ...span(ends, measure), space);
  const wide = (W - space.left - RIGHT) / groups.length;
  groups.forEach(({ name, one }, i) => {
    const x = space.left + wide * (i + 0.5);
    const mark = draw("g", { class: "mark" });
    if (one.low !== null) mark.append(draw("line", { x1: x, x2: x, y1: y(one.low), y2: y(one.high) }));
    mark.append(draw("circle", { cx: x, cy: y(one.value), r: 5 }));
    mark.append(draw("title", {}, `${name}: ${shown(one, measure)}, ${one.count} scenes`));
    svg.append(mark);
    if (labels.length) below(svg, x, labels[i], space.turned);
  });
  titled(svg, across.name, space);
  return el("div", { className: "plotbox" }, svg);
}

function points(some, across, down) {
  const measure = state.measure === "count" || state.measure === "right" ? "loss" : state.measure;
  const height = (row) => (down ? down.values[row.index] : row[measure]);
  // What has no result or shows nothing of the object is neither a right answer nor a wrong one.
  const drawn = some.filter((row) => row.outcome !== "failed" && row.outcome !== "unseen"
    && across.values[row.index] !== null && height(row) !== null && height(row) !== undefined);
  if (!drawn.length) return el("p", { className: "muted", textContent: "These scenes have no such numbers." });
  const ys = drawn.map(height), xs = drawn.map((row) => across.values[row.index]);
  const yName = down ? down.name : measure;
  const beside = down && !down.numeric ? down.labels : [], [least, most] = beside.length ? [-0.5, beside.length - 0.5] : span(ys, down ? "" : measure);
  const labels = across.numeric || across.labels.length >= MANY ? [] : across.labels, space = room(labels, beside);
  const [svg, y] = frame(`${drawn.length} scenes by ${across.name} and ${yName}`, yName, least, most, space, beside.length > 0);
  beside.forEach((name, k) => svg.append(draw("text", { x: space.left - 6, y: y(k) + 4, "text-anchor": "end", class: "small" }, name)));
  const named = !across.numeric;
  const [low, high] = named ? [-0.5, across.names.length - 0.5] : [Math.min(...xs), Math.max(...xs)];
  const x = (value) => space.left + 8 + (W - space.left - RIGHT - 16) * (value - low) / (high - low || 1);
  labels.forEach((text, k) => below(svg, x(k), text, space.turned));
  if (!named) for (const tick of ticks(low, high)) below(svg, x(tick), short(tick), false);
  titled(svg, across.name, space);
  for (const row of drawn) {
    const aside = named ? 0.6 * ((row.index * 0.618034) % 1 - 0.5) : 0; // names side by side, not on one another
    const up = down && !down.numeric ? 0.6 * ((row.index * 0.754877) % 1 - 0.5) : 0;
    const cx = x(across.values[row.index] + aside), cy = y(height(row) + up);
    const mark = row.outcome === "wrong"
      ? draw("path", { d: `M${cx - 4} ${cy - 4}l8 8m0 -8l-8 8`, class: "cross" })
      : draw("circle", { cx, cy, r: 4, class: "dot" });
    mark.append(draw("title", {}, about(row)));
    mark.addEventListener("click", () => open(row.index));
    svg.append(mark);
  }
  const key = judged ? "Rings are right answers, crosses wrong ones." : "";
  return el("div", { className: "plotbox" }, svg, el("p", { className: "muted", textContent: `${key} Select one to see its scene.` }));
}
