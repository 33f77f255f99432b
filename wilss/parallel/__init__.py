"""Trainings that several processes share, each with a device of its own; what is minimised, and by whom."""
