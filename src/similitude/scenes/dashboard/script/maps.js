// Maps of two factors.

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
  columns.forEach((column) => head.append(el("th", { scope: "col", textContent: column.brief, title: column.name })));
  table.append(el("thead", {}, head));
  const body = el("tbody", {});
  lines.forEach((line, i) => {
    const tr = el("tr", {}, el("th", { scope: "row", textContent: line.brief, title: line.name }));
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
