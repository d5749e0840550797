"""A real HTCondor pool for the tests."""
