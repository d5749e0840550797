"""The control API on a Unix socket: the only way to see or change a running factory."""
