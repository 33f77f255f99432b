"""Few-shot heads and what they share."""
