"""Prefect tasks: resolve the artefact, return its reference if complete, else compute it and commit it to a store."""
