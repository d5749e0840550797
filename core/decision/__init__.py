"""From facts to a decision: pure arithmetic, every step with its reason."""
