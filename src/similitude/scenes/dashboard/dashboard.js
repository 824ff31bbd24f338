"use strict";
(() => {
  // Text from users is only ever set as text, never as markup.
  const data = JSON.parse(document.getElementById("data").textContent);
  const Z = 1.959963984540054;
  const FEW = 10;
  const BINS = 5;
  const PAGE = 48;
  const STEPS = 200;
  const SVG = "http://www.w3.org/2000/svg";
  const at = (id) => document.getElementById(id);

  const rows = data.rows.map((values, index) => {
    const row = { index };
    data.columns.forEach((name, k) => { row[name] = values[k]; });
    row.outcome = row.error ? "failed" : row.right === null ? "scored" : row.right ? "right" : "wrong";
    return row;
  });
  const OUTCOMES = [["right", "✓ right"], ["wrong", "✗ wrong"], ["scored", "scored"], ["failed", "no result"]]
    .filter(([name]) => rows.some((row) => row.outcome === name));
  const judged = rows.some((row) => row.outcome === "right" || row.outcome === "wrong");
  const MEASURES = [
    ...(judged ? [["right", "share right"]] : [["score", "mean score"]]),
    ["loss", "mean loss"], ["probability", "mean probability of accepted labels"], ["count", "number of scenes"],
  ].filter(([name]) => name === "count" || rows.some((row) => row[name] !== null));
  const SORTS = [
    ["loss-", "highest loss first"], ["loss+", "lowest loss first"], ["confidence-", "surest first"],
    ["margin+", "smallest margin first"], ["index+", "as drawn"],
  ].filter(([key]) => key === "index+" || rows.some((row) => row[key.slice(0, -1)] !== null));

  const factors = data.factors.map((one) => {
    const numbers = one.values.filter((value) => value !== null);
    const distinct = [...new Set(numbers)].sort((a, b) => a - b);
    const byValue = !one.numeric || distinct.length <= FEW;
    return {
      ...one, distinct, byValue,
      low: distinct[0], high: distinct[distinct.length - 1],
      label: (value) => (value === null ? "not set" : one.numeric ? short(value) : one.names[value]),
    };
  });

  function short(value) {
    if (value === null || !Number.isFinite(value)) return "–";
    return String(Number(value.toPrecision(3)));
  }

  function fresh() {
    return {
      model: 0, outcomes: new Set(OUTCOMES.map(([name]) => name)),
      filters: factors.map((one) => (one.byValue ? new Set([...one.distinct, null]) : [0, STEPS])),
      across: 0, down: -1, measure: MEASURES[0][0], view: "summary", sort: SORTS[0][0], shown: PAGE, open: -1,
    };
  }
  let state = fresh();

  // ---- the address keeps the state, so that a view can be passed on -------------------------------------------------
  function written() {
    const base = fresh(), out = new URLSearchParams();
    for (const key of ["model", "across", "down", "measure", "view", "sort", "open"]) {
      if (state[key] !== base[key]) out.set(key, state[key]);
    }
    if (state.outcomes.size < OUTCOMES.length) out.set("outcomes", [...state.outcomes].join(","));
    factors.forEach((one, k) => {
      const now = state.filters[k];
      if (!one.byValue) {
        if (now[0] > 0 || now[1] < STEPS) out.set(`f:${one.name}`, `${edge(one, now[0])}..${edge(one, now[1])}`);
      } else if (one.distinct.some((value) => !now.has(value))) {
        out.set(`f:${one.name}`, one.distinct.map((v, i) => (now.has(v) ? i : -1)).filter((i) => i >= 0).join(","));
      }
    });
    return out.toString();
  }

  function read() {
    state = fresh();
    const given = new URLSearchParams(location.hash.slice(1));
    const number = (key, least, most) => {
      const value = Number(given.get(key));
      if (given.has(key) && Number.isInteger(value) && value >= least && value <= most) state[key] = value;
    };
    number("model", 0, data.models.length - 1);
    number("across", 0, factors.length - 1);
    number("down", -1, factors.length - 1);
    number("open", -1, rows.length - 1);
    for (const [key, known] of [["measure", MEASURES], ["sort", SORTS], ["view", [["summary"], ["points"]]]]) {
      if (known.some(([name]) => name === given.get(key))) state[key] = given.get(key);
    }
    if (given.has("outcomes")) {
      const asked = given.get("outcomes").split(",");
      state.outcomes = new Set(OUTCOMES.map(([name]) => name).filter((name) => asked.includes(name)));
    }
    factors.forEach((one, k) => {
      const text = given.get(`f:${one.name}`);
      if (text === null) return;
      if (!one.byValue) {
        const ends = text.split("..").map(Number);
        if (ends.length === 2 && ends.every(Number.isFinite) && one.high > one.low) {
          const steps = ends.map((end) => STEPS * (end - one.low) / (one.high - one.low));
          const whole = [Math.floor(steps[0] + 1e-6), Math.ceil(steps[1] - 1e-6)];
          state.filters[k] = whole.map((step) => Math.min(STEPS, Math.max(0, step)));
        }
      } else {
        const places = text.split(",").filter((part) => part !== "").map(Number);
        state.filters[k] = new Set(places.filter((i) => i in one.distinct).map((i) => one.distinct[i]));
      }
    });
  }

  function edge(one, step) {
    return Number((one.low + (one.high - one.low) * step / STEPS).toPrecision(5));
  }

  // ---- numbers ------------------------------------------------------------------------------------------------------
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

  function measured(some, measure) {
    if (measure === "count") return { value: some.length, low: null, high: null, count: some.length };
    const values = some.filter((row) => !row.error).map((row) => row[measure]).filter((value) => value !== null);
    if (!values.length) return null;
    return measure === "right" ? wilson(values.reduce((a, b) => a + b, 0), values.length) : mean(values);
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
        .map((value) => ({ name: one.label(value), rows: known.filter((row) => one.values[row.index] === value) }))
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
      return { name: `${short(Math.min(...values))} to ${short(Math.max(...values))}`, rows: mine };
    });
  }

  function kept() {
    return rows.filter((row) => row.model === state.model && state.outcomes.has(row.outcome) && factors.every((one, k) => {
      const value = one.values[row.index], now = state.filters[k];
      if (one.byValue) return now.has(value);
      if (now[0] === 0 && now[1] === STEPS) return true;
      const [low, high] = [edge(one, now[0]), edge(one, now[1])], slack = 1e-4 * (one.high - one.low);
      return value !== null && value >= low - slack && value <= high + slack;
    }));
  }

  function ordered(some) {
    const key = state.sort.slice(0, -1), sign = state.sort.endsWith("-") ? -1 : 1;
    const rank = (row) => (row[key] === null ? Infinity : sign * row[key]);
    return [...some].sort((a, b) => (rank(a) === rank(b) ? a.index - b.index : rank(a) < rank(b) ? -1 : 1));
  }

  // ---- building blocks ----------------------------------------------------------------------------------------------
  function el(name, set = {}, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(set)) {
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (key in node && key !== "list") node[key] = value;
      else node.setAttribute(key, value);
    }
    node.append(...children);
    return node;
  }

  function draw(name, set, text) {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(set)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    return node;
  }

  function choice(id, label, options, key, cast) {
    const select = el("select", { id, onchange: () => { state[key] = cast(select.value); changed(); } });
    for (const [value, text] of options) select.append(el("option", { value, textContent: text }));
    controls.push(() => { select.value = String(state[key]); });
    return el("label", { className: "choice" }, el("span", { textContent: label }), select);
  }

  const controls = []; // each brings one control in line with the state

  function filters() {
    const panel = at("filters");
    if (data.models.length > 1) panel.append(choice("model", "Model", data.models.map((name, k) => [k, name]), "model", Number));
    panel.append(boxes("Outcome", OUTCOMES.map(([name]) => name), OUTCOMES.map(([, text]) => text), () => state.outcomes));
    factors.forEach((one, k) => {
      if (one.byValue) {
        const values = one.values.includes(null) ? [...one.distinct, null] : one.distinct;
        panel.append(boxes(one.name, values, values.map(one.label), () => state.filters[k]));
      } else panel.append(slider(one, k));
    });
    panel.append(el("button", { id: "reset", type: "button", textContent: "Show everything", onclick: () => {
      const { across, down, measure, view, sort, model } = state;
      state = { ...fresh(), across, down, measure, view, sort, model };
      changed();
    } }));
  }

  function boxes(title, values, texts, chosen) {
    const list = el("div", { className: "boxes" });
    values.forEach((value, i) => {
      const box = el("input", { type: "checkbox", onchange: () => {
        if (box.checked) chosen().add(value); else chosen().delete(value);
        changed();
      } });
      controls.push(() => { box.checked = chosen().has(value); });
      list.append(el("label", {}, box, el("span", { textContent: texts[i] })));
    });
    const parts = [el("legend", { textContent: title })];
    if (values.length > 3) {
      const all = (every) => () => { chosen().clear(); if (every) values.forEach((v) => chosen().add(v)); changed(); };
      parts.push(el("div", { className: "quick" },
        el("button", { type: "button", textContent: "all", ariaLabel: `${title}: all`, onclick: all(true) }),
        el("button", { type: "button", textContent: "none", ariaLabel: `${title}: none`, onclick: all(false) })));
    }
    return el("fieldset", {}, ...parts, list);
  }

  function slider(one, k) {
    const said = el("output", {});
    const ends = ["least", "greatest"].map((which, side) => {
      const input = el("input", { type: "range", min: 0, max: STEPS, step: 1, ariaLabel: `${one.name}, ${which}`, oninput: () => {
        const now = [...state.filters[k]];
        now[side] = side ? Math.max(Number(input.value), now[0]) : Math.min(Number(input.value), now[1]);
        state.filters[k] = now;
        changed();
      } });
      controls.push(() => {
        input.value = state.filters[k][side];
        input.setAttribute("aria-valuetext", short(edge(one, state.filters[k][side])));
      });
      return input;
    });
    controls.push(() => { said.textContent = state.filters[k].map((step) => short(edge(one, step))).join(" to "); });
    return el("fieldset", {}, el("legend", { textContent: one.name }), said, ...ends);
  }

  // ---- views --------------------------------------------------------------------------------------------------------
  function totals(some) {
    const all = rows.filter((row) => row.model === state.model);
    const parts = [`${some.length} of ${all.length} scenes`];
    for (const [name, text] of MEASURES) {
      if (name === "count") continue;
      const one = measured(some, name);
      if (one !== null) parts.push(`${text} ${shown(one, name)}`);
    }
    const failed = some.filter((row) => row.error).length;
    if (failed) parts.push(`${failed} without a result`);
    at("totals").textContent = `${parts.join(" · ")}`;
  }

  function aggregate(some) {
    const view = at("view");
    view.replaceChildren();
    if (!factors.length || !some.length) {
      view.append(el("p", { className: "muted", textContent: some.length ? "Nothing differs between these scenes." : "No scene is left. Loosen the filters." }));
      return;
    }
    const across = factors[state.across], down = state.down < 0 ? null : factors[state.down];
    if (state.view === "points") view.append(points(some, across, down));
    else if (down) view.append(heat(some, across, down));
    else view.append(marks(some, across));
  }

  function colour(one, low, high) {
    const share = high > low ? (one.value - low) / (high - low) : 0.5;
    return `color-mix(in oklab, var(--heat) ${Math.round(8 + 72 * share)}%, var(--card))`;
  }

  function heat(some, across, down) {
    const columns = bins(across, some), lines = bins(down, some), measure = state.measure;
    const cells = lines.map((line) => {
      const mine = new Set(line.rows);
      return columns.map((column) => {
        const both = column.rows.filter((row) => mine.has(row));
        return both.length ? measured(both, measure) : null;
      });
    });
    const values = cells.flat().filter((one) => one !== null).map((one) => one.value);
    const [low, high] = measure === "right" || measure === "probability" ? [0, 1] : [Math.min(...values), Math.max(...values)];
    const table = el("table", { className: "heat" },
      el("caption", { textContent: `${named(measure)}: ${across.name} across, ${down.name} down` }));
    const head = el("tr", {}, el("td", {}));
    columns.forEach((column) => head.append(el("th", { scope: "col", textContent: column.name })));
    table.append(el("thead", {}, head));
    const body = el("tbody", {});
    lines.forEach((line, i) => {
      const tr = el("tr", {}, el("th", { scope: "row", textContent: line.name }));
      cells[i].forEach((one) => {
        const td = el("td", { textContent: one === null ? "–" : shown({ ...one, low: null }, measure) });
        if (one !== null) {
          td.style.background = colour(one, low, high);
          td.title = `${shown(one, measure)}, ${one.count} scenes`;
          if (measure !== "count") td.append(el("small", { textContent: `n ${one.count}` }));
        }
        tr.append(td);
      });
      body.append(tr);
    });
    table.append(body);
    return el("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "Map of two factors" }, table);
  }

  function named(measure) { return MEASURES.find(([name]) => name === measure)[1]; }

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
    const drawn = some.filter((row) => across.values[row.index] !== null && height(row) !== null && height(row) !== undefined);
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

  function answer(row) { return row.said === null ? "no answer" : data.classes[row.said]; }

  function about(row) {
    const loss = row.loss === null ? "" : `, loss ${short(row.loss)}`;
    const what = row.error ? `no result: ${row.error}` : `${row.outcome}: ${answer(row)}${loss}`;
    return `scene ${row.item + 1}, ${what}`;
  }

  function picture(row, large) {
    if (row.image === null) return el("span", { className: large ? "nothing large" : "nothing", textContent: row.error ? "no picture" : "picture left out" });
    return el("img", { src: data.images[row.image], alt: large ? about(row) : "", width: 128, height: 128, loading: "lazy", decoding: "async" });
  }

  const SIGNS = { right: "✓", wrong: "✗", scored: "", failed: "!" };

  function grid(some) {
    const list = at("grid"), sorted = ordered(some), now = sorted.slice(0, state.shown);
    list.replaceChildren(...now.map((row) => el("li", {}, el("button", {
      type: "button", className: `shot ${row.outcome}`, ariaLabel: about(row), onclick: () => open(row.index),
    }, picture(row, false), el("span", { className: "said", textContent: `${SIGNS[row.outcome]} ${row.error ? "no result" : answer(row)}` }),
    el("span", { className: "muted", textContent: row.loss === null ? "" : `loss ${short(row.loss)}` })))));
    const without = sorted.filter((row) => row.image === null).length;
    at("shown").textContent = `${now.length} of ${sorted.length} scenes are shown`
      + (without ? `; ${without} of them have no picture on this page.` : ".");
    at("more").hidden = now.length >= sorted.length;
  }

  function open(index) {
    state.open = index;
    keep();
    details();
  }

  function step(by) {
    const sorted = ordered(kept()), place = sorted.findIndex((row) => row.index === state.open);
    const next = sorted[(place + by + sorted.length) % sorted.length];
    if (next) open(next.index);
  }

  function details() {
    const dialog = at("details");
    if (state.open < 0) { if (dialog.open) dialog.close(); return; }
    const row = rows[state.open], list = el("dl", { className: "settings" });
    const add = (name, value) => { if (value !== null && value !== "") list.append(el("dt", { textContent: name }), el("dd", { textContent: value })); };
    add("model", data.models[row.model]);
    if (row.error) add("why there is no result", row.error); else add("answer", `${SIGNS[row.outcome]} ${answer(row)}`);
    if (row.right === null) add("score", row.score === null ? "" : short(row.score));
    for (const name of ["loss", "probability", "confidence", "margin", "visible"]) if (row[name] !== null) add(name, short(row[name]));
    factors.forEach((one) => add(one.name, one.label(one.values[row.index])));
    Object.entries(data.fixed).forEach(([name, value]) => add(name, value));
    if (row.seconds !== null) add("seconds", short(row.seconds));
    for (const other of rows) {
      if (other.item === row.item && other.index !== row.index) add(`${data.models[other.model]} says`, other.error || `${SIGNS[other.outcome]} ${answer(other)}`);
    }
    at("scene").replaceChildren(picture(row, true), list);
    at("heading").textContent = `Scene ${row.item + 1}`;
    if (!dialog.open) dialog.showModal();
  }

  // ---- all together -------------------------------------------------------------------------------------------------
  function keep() {
    const text = written();
    try { history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search); } catch { /* some browsers refuse it for files */ }
  }

  function render() {
    controls.forEach((one) => one());
    const some = kept();
    totals(some);
    aggregate(some);
    grid(some);
    details();
  }

  function changed() { state.shown = PAGE; keep(); render(); }

  filters();
  if (factors.length) {
    const names = factors.map((one, k) => [k, one.name]);
    at("choices").append(
      choice("across", "across", names, "across", Number),
      choice("down", "down", [[-1, "nothing"], ...names], "down", Number),
      choice("measure", "show", MEASURES, "measure", String),
      choice("kind", "as", [["summary", "summary"], ["points", "every scene"]], "view", String));
  }
  at("sorting").append(choice("sort", "order", SORTS, "sort", String));
  at("more").addEventListener("click", () => { state.shown += PAGE; grid(kept()); });
  at("close").addEventListener("click", () => at("details").close());
  at("before").addEventListener("click", () => step(-1));
  at("after").addEventListener("click", () => step(1));
  at("details").addEventListener("close", () => { state.open = -1; keep(); });
  at("details").addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  window.addEventListener("hashchange", () => { read(); render(); });
  at("panel").open = !window.matchMedia("(max-width: 52rem)").matches;
  at("explorer").hidden = false;
  read();
  render();
  document.documentElement.dataset.ready = "yes";
})();
