"""Label sets: pseudo-masks of one step under one recipe."""
