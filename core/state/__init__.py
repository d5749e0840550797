"""What outlives a factory process: locks, the ledger of intents and actions, history."""
