"""Batch systems: how many pilots there are."""
