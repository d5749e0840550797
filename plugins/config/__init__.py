"""Where queues are described."""
