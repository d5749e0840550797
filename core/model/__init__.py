"""Words of the house as values: facts, decisions, intents, plug-in contracts. Pure, no I/O."""
