"""Text from outside is hostile until it went through `clean` or `visible`."""


def clean(text: str, limit: int = 1000) -> str:
    """Return `text` as one line of at most `limit` characters, all of them visible.

    What is no printable character (C0, DEL, C1, bidirectional and other format controls,
    separators but the space, surrogates, private and unassigned code points) becomes `\\xNN` or
    `\\uNNNN`; what exceeds `limit` is cut and marked with `…`.
    """
    shown = text[: limit + 1]
    if not shown.isprintable():
        shown = "".join(c if c.isprintable() else _visible(c) for c in shown)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def visible(text: str) -> str:
    """Return a text of many lines whose characters are all visible, but line feeds and tabs.

    For texts that an operator edits: `clean` for each line, nothing is cut.
    """
    lines = text.replace("\r\n", "\n")
    return "".join(c if c.isprintable() or c in "\n\t" else _visible(c) for c in lines)


def _visible(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
