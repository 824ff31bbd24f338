// What the page is about: rows, factors, outcomes, measures. Text from users is only ever set as text, never as markup.

const data = JSON.parse(document.getElementById("data").textContent);
const FEW = 10;
const at = (id) => document.getElementById(id);

const rows = data.rows.map((values, index) => {
  const row = { index };
  data.columns.forEach((name, k) => { row[name] = values[k]; });
  row.outcome = row.error ? "failed" : row.visible === 0 ? "unseen"
    : row.right === null ? "scored" : row.right ? "right" : "wrong";
  return row;
});
const OUTCOMES = [["right", "✓ right"], ["wrong", "✗ wrong"], ["scored", "scored"], ["unseen", "nothing seen"],
  ["failed", "no result"]].filter(([name]) => rows.some((row) => row.outcome === name));
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
    brief: (value) => (one.numeric || value === null ? short(value) : one.labels[value]), // on an axis
  };
});

function short(value) {
  if (value === null || !Number.isFinite(value)) return "–";
  return String(Number(value.toPrecision(3)));
}

function named(measure) { return MEASURES.find(([name]) => name === measure)[1]; }

// Evaluators that are functions of a user may judge an answer without saying what it was.
function answer(row) {
  if (row.said !== null) return data.classes[row.said];
  if (row.outcome === "scored") return row.score === null ? "scored" : `score ${short(row.score)}`;
  return row.outcome === "unseen" ? "nothing seen" : row.outcome;
}

function about(row) {
  const loss = row.loss === null ? "" : `, loss ${short(row.loss)}`;
  const named = row.outcome === "unseen" ? "nothing of the object is seen" : row.outcome;
  const what = row.error ? `no result: ${row.error}` : `${named}${row.said === null ? "" : `: ${answer(row)}`}${loss}`;
  return `scene ${row.item + 1}, ${what}`;
}
