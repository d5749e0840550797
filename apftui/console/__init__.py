"""The console: shows a running factory live and asks it for changes. All of it is Textual."""

import os

# Textual reads this when it is imported. Its own 100 ms make Escape feel broken.
os.environ.setdefault("ESCDELAY", "25")
