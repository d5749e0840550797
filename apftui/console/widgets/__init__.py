"""The parts of the screens. They draw what the store holds, line by line, and own no data."""
