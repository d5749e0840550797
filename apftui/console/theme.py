"""Colours. Each has one meaning, so that a calm screen is a healthy factory."""

from textual.theme import Theme

# For `NO_COLOR` Textual takes away what an ANSI theme still has; glyphs and words remain.
PLAIN = "ansi-dark"

CALM = Theme(
    name="apftui",
    primary="#82aad0",
    secondary="#82aad0",
    accent="#82aad0",
    success="#8dbd84",
    warning="#dcae63",
    error="#e57f7a",
    foreground="#c9d0d8",
    background="#101418",
    surface="#171c22",
    panel="#222a33",
    dark=True,
    variables={
        "dim": "#75808c",
        "soft": "#9ca6b1",
        "cursor": "#26303b",
        "input-cursor-text-style": "none",
        "footer-key-foreground": "#82aad0",
    },
)

DEFAULTS = {"dim": "ansi_bright_black", "soft": "ansi_default", "cursor": "ansi_default"}
"""Our own variables for a theme that lacks them."""
