// The rows that the filters leave, and their order.

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
