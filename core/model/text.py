"""Text from outside is hostile until it went through `clean`."""

import unicodedata

# Bidirectional controls reorder what stands around them; line and paragraph separators break rows.
_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def clean(text: str, limit: int = 1000) -> str:
    """Return `text` as one line in which every control character is visible.

    C0, DEL, C1, bidirectional and other format controls, surrogates and line separators become
    `\\xNN` or `\\uNNNN`; what exceeds `limit` characters is cut and marked with `…`.
    """
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(c) if unicodedata.category(c) in _HIDDEN else c for c in text)


def _visible(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
