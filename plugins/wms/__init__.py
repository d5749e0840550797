"""Where payload jobs wait."""
