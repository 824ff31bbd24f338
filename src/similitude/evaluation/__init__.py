"""The contract of the evaluation suites: rows, anchors, aggregates with intervals, objectives for tuners, one report."""
