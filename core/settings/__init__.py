"""From files, layers and overrides to the settings that a pass runs with."""
