"""Models that last: students, few-shot heads, vector sets."""
