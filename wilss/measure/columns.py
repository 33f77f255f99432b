"""Names of the numbers that are kept of every row of a label set; see `wilss.measure.quality.mask_quality`."""

COLUMNS = ("agreement", "unchanged", "softmin", "uncertain", "area", "fragments", "border", "wins", "apart")
