"""Learning: losses, memory bank, copy-paste, teacher, methods and the incremental loop."""
