"""The built-in world: scenes of silhouettes, drawn from a seed."""
