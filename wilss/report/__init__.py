"""Records of runs and comparisons, their pages and pictures."""
