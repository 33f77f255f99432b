"""The inspector: pages over the stores, to look at pseudo-labels, judge and correct them; see docs/inspector.md."""
