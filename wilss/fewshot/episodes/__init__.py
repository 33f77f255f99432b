"""Episodes: folds, lists, what is drawn from them, and their batches."""
