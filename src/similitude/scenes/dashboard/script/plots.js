// Drawings: a mark for each value of a factor, or for each scene.

const W = 720, H = 340, LEFT = 64, RIGHT = 14, TOP = 14, BOTTOM = 74;

function frame(title, yName, low, high) {
  const svg = draw("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": title, class: "plot" });
  const y = (value) => TOP + (H - TOP - BOTTOM) * (high - value) / (high - low || 1);
  for (const tick of ticks(low, high)) {
    svg.append(draw("line", { x1: LEFT, x2: W - RIGHT, y1: y(tick), y2: y(tick), class: "gridline" }));
    svg.append(draw("text", { x: LEFT - 8, y: y(tick) + 4, "text-anchor": "end" }, short(tick)));
  }
  svg.append(draw("text", { transform: `translate(14 ${(H - BOTTOM + TOP) / 2}) rotate(-90)`, "text-anchor": "middle" }, yName));
  return [svg, y];
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
  const [svg, y] = frame(`${named(measure)} by ${across.name}. ${words}`, named(measure), ...span(ends, measure));
  const wide = (W - LEFT - RIGHT) / groups.length, letters = Math.max(...groups.map(({ name }) => name.length));
  const turned = letters * 7.2 > wide - 6;
  groups.forEach(({ name, one }, i) => {
    const x = LEFT + wide * (i + 0.5);
    const mark = draw("g", { class: "mark" });
    if (one.low !== null) mark.append(draw("line", { x1: x, x2: x, y1: y(one.low), y2: y(one.high) }));
    mark.append(draw("circle", { cx: x, cy: y(one.value), r: 5 }));
    mark.append(draw("title", {}, `${name}: ${shown(one, measure)}, ${one.count} scenes`));
    svg.append(mark);
    const text = name.length > 22 ? `${name.slice(0, 21)}…` : name;
    svg.append(turned && groups.length < 40
      ? draw("text", { transform: `translate(${x + 4} ${H - BOTTOM + 16}) rotate(-28)`, "text-anchor": "end" }, text)
      : draw("text", { x, y: H - BOTTOM + 20, "text-anchor": "middle" }, groups.length < 40 ? text : ""));
  });
  svg.append(draw("text", { x: (W + LEFT) / 2, y: H - 6, "text-anchor": "middle", class: "axis" }, across.name));
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
  const room = down && !down.numeric ? [-0.5, down.names.length - 0.5] : span(ys, down ? "" : measure);
  const [svg, y] = frame(`${drawn.length} scenes by ${across.name} and ${yName}`, yName, ...room);
  if (down && !down.numeric) {
    svg.querySelectorAll("text").forEach((node) => { if (node.getAttribute("text-anchor") === "end") node.remove(); });
    down.names.forEach((name, k) => svg.append(draw("text", { x: LEFT - 6, y: y(k) + 4, "text-anchor": "end", class: "small" }, name.slice(0, 9))));
  }
  const named = !across.numeric;
  const [low, high] = named ? [-0.5, across.names.length - 0.5] : [Math.min(...xs), Math.max(...xs)];
  const x = (value) => LEFT + 8 + (W - LEFT - RIGHT - 16) * (value - low) / (high - low || 1);
  if (named) {
    across.names.forEach((name, k) => svg.append(
      draw("text", { transform: `translate(${x(k) + 4} ${H - BOTTOM + 16}) rotate(-28)`, "text-anchor": "end" }, name.slice(0, 22))));
  } else {
    for (const tick of ticks(low, high)) svg.append(draw("text", { x: x(tick), y: H - BOTTOM + 20, "text-anchor": "middle" }, short(tick)));
  }
  svg.append(draw("text", { x: (W + LEFT) / 2, y: H - 6, "text-anchor": "middle", class: "axis" }, across.name));
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
