"""Plans: all nodes of a run by name, each with its recipe and parents; and what a run has opened."""
