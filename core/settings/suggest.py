"""The nearest right name for a wrong one."""

import difflib
from collections.abc import Iterable

_LISTED = 20


def did_you_mean(word: str, names: Iterable[str], known: str = "known") -> str:
    """Return a cure: the nearest of `names`, else all of them."""
    by_fold = {name.casefold().replace("_", "-"): name for name in sorted(names)}
    near = difflib.get_close_matches(word.casefold().replace("_", "-"), by_fold, n=1)
    if near:
        return f"did you mean {by_fold[near[0]]}?"
    if not by_fold:
        return f"{known}: none"
    listed = list(by_fold.values())
    more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
    return f"{known}: {', '.join(listed[:_LISTED])}{more}"
