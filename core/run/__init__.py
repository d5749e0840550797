"""The running factory: workers, sources, the pass, submissions, the snapshot."""
