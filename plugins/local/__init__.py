"""Pilots as processes of this host: their folders, how they are started and ended."""
