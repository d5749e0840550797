"""Batch systems: how pilots get there, exactly once."""
