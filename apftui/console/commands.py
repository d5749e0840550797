"""Everything a key can do, once: bindings, key bar, palette, help and confirmation follow."""

from dataclasses import dataclass
from typing import Literal

from textual.binding import Binding, BindingType

View = Literal["overview", "queue", "parameters", "page", "wrappers", "workshop"]


@dataclass(frozen=True)
class Command:
    """One thing the operator can do.

    `name` is the action on the screen; `id` is the key's name in a keymap, its first part the
    section of the help. `label` is the word in the key bar ("" = not there), where the lowest
    `rank` stays longest.
    """

    name: str
    id: str
    keys: str
    help: str
    views: tuple[View, ...]
    label: str = ""
    rank: int = 99
    needs: Literal["", "queue"] = ""
    bulk: bool = False
    """Does it to all marked queues, if some are marked."""
    dangerous: bool = False
    """Changes something: not in read-only mode, and only after a confirmation."""
    effect: str = ""
    """What a confirmation says will happen."""
    done: str = ""
    """What it says of queues to which it was done."""
    lasting: bool = False
    """It may end by itself, and how soon is asked."""


SECTIONS = {
    "nav": "Move",
    "table": "Table",
    "param": "Parameters",
    "queue": "Queue",
    "wrap": "Wrapper",
    "app": "Console",
}
ALL: tuple[View, ...] = ("overview", "queue", "parameters", "page", "wrappers", "workshop")

COMMANDS = (
    Command("open", "nav.open", "enter", "Open the queue under the cursor", ("overview",),
            "open", 2, needs="queue"),
    Command("back", "nav.back", "escape,backspace,q", "Go back",
            ("queue", "parameters", "page", "wrappers", "workshop"), "back", 1),
    Command("up", "nav.up", "k,up", "Up", ALL),
    Command("down", "nav.down", "j,down", "Down", ALL),
    Command("top", "nav.top", "g,home", "To the first line", ALL),
    Command("bottom", "nav.bottom", "G,end", "To the last line", ALL),
    Command("page_up", "nav.page_up", "pageup,ctrl+b", "A page up", ALL),
    Command("page_down", "nav.page_down", "pagedown,ctrl+f", "A page down", ALL),
    Command("half_up", "nav.half_up", "ctrl+u", "Half a page up", ALL),
    Command("half_down", "nav.half_down", "ctrl+d", "Half a page down", ALL),
    Command("previous_queue", "nav.previous", "left_curly_bracket", "Previous queue",
            ("queue", "workshop"),
            "prev", 4, needs="queue"),
    Command("next_queue", "nav.next", "right_curly_bracket", "Next queue",
            ("queue", "workshop"),
            "next", 5, needs="queue"),
    Command("filter", "table.filter", "slash", "Filter by name and state as you type",
            ("overview",), "filter", 3),
    Command("clear", "table.clear", "escape", "Clear the filter, then the marks", ("overview",)),
    Command("sort", "table.sort", "s", "Sort by the next column", ("overview",), "sort", 5),
    Command("reverse", "table.reverse", "S", "Turn the sort order round", ("overview",)),
    Command("sort_left", "table.sort_left", "less_than_sign", "Sort by the column to the left",
            ("overview",)),
    Command("sort_right", "table.sort_right", "greater_than_sign",
            "Sort by the column to the right", ("overview",)),
    Command("mark", "table.mark", "space", "Mark the queue for pause, drain, resume", ("overview",),
            "mark", 7, needs="queue"),
    Command("mark_all", "table.mark_all", "asterisk", "Mark all queues that the filter shows",
            ("overview",)),
    Command("edit", "param.edit", "enter", "Type a new value for the parameter", ("parameters",),
            "edit", 2),
    Command("reset", "param.reset", "d", "Back to the default: take the override away",
            ("parameters",), "default", 3),
    Command("apply", "param.apply", "ctrl+s", "Review what is new, and apply it", ("parameters",),
            "review & apply", 2, dangerous=True, effect="The new values count from now on."),
    Command("parameters", "queue.parameters", "e,3", "Edit the parameters of the queue",
            ("overview", "queue"), "edit", 6, needs="queue", bulk=True),
    Command("pause", "queue.pause", "p", "Pause: submit no new pilots", ("overview", "queue"),
            "pause", 4, needs="queue", bulk=True, dangerous=True,
            effect="No new pilots are submitted. Pilots that wait or run are left alone.",
            done="paused", lasting=True),
    Command("drain", "queue.drain", "D", "Drain: let the queue run empty",
            ("overview", "queue"), "drain", 11, needs="queue", bulk=True, dangerous=True,
            effect="No new pilots are submitted. Those that wait or run go on; when the last has"
                   " ended, the queue says drained.", done="draining", lasting=True),
    Command("resume", "queue.resume", "P", "Resume: end a pause or a drain", ("overview", "queue"),
            "resume", 8, needs="queue", bulk=True, dangerous=True,
            effect="The next pass decides and submits again.", done="resumed"),
    Command("undo", "queue.undo", "u", "Undo your own last change", ("overview", "queue",
            "parameters"), "undo", 9, dangerous=True, effect="What stood before is put back."),
    Command("overview", "nav.overview", "1", "To the overview", ("queue", "page")),
    Command("wrapper", "queue.wrapper", "w", "Its wrapper: look, edit, publish, roll back",
            ("overview", "queue"), "wrapper", 11, needs="queue"),
    Command("workshop", "wrap.open", "enter", "Open the wrapper under the cursor", ("wrappers",),
            "open", 2),
    Command("draft", "wrap.draft", "f2", "Edit your draft of it", ("workshop",), "edit", 3),
    Command("next_fault", "wrap.next_fault", "f3", "Go to the next problem", ("workshop",),
            "problem", 9),
    Command("versions", "wrap.versions", "f4", "All versions", ("workshop",), "versions", 6),
    Command("preview", "wrap.preview", "f6", "The script as a queue would get it", ("workshop",),
            "preview", 4),
    Command("diff", "wrap.diff", "f7", "What differs from the version that counts", ("workshop",),
            "diff", 5),
    Command("publish", "wrap.publish", "f8",
            "Publish the draft, or the version under the cursor", ("workshop",),
            "publish", 2, dangerous=True,
            effect="New pilots get it. Pilots that wait or run keep theirs."),
    Command("discard", "wrap.discard", "f9", "Drop your draft", ("workshop",), "drop", 10,
            effect="What you typed is gone; the version that counts is shown again."),
    Command("outside", "wrap.outside", "ctrl+e", "Edit the draft in $EDITOR", ("workshop",),
            "$EDITOR", 8),
    Command("show_version", "wrap.show", "enter", "Show the version under the cursor",
            ("workshop",), "show", 3),
    Command("wrappers", "app.wrappers", "4", "Wrappers: what pilots start with",
            ("overview", "queue"), "wrappers", 12),
    Command("factory", "app.factory", "A", "Alarms, sources and the factory itself",
            ("overview", "queue", "parameters"), "alarms", 9),
    Command("reload", "app.reload", "ctrl+r", "Read the settings files again", ("overview",),
            "reload", 10, dangerous=True,
            effect="Settings that do not fit are refused whole, and those in use stay."),
    Command("quit", "app.quit", "q", "Leave the console; the factory goes on", ("overview",),
            "quit", 6),
    Command("command_palette", "app.palette", "colon", "Find a command by its name", ALL,
            "commands", -1),
    Command("help", "app.help", "question_mark", "This help",
            ("overview", "queue", "parameters", "wrappers", "workshop"), "help", -2),
)  # fmt: skip

BY_NAME = {command.name: command for command in COMMANDS}


def bindings(view: View) -> list[BindingType]:
    """Return the keys of a view."""
    return [
        Binding(
            command.keys,
            command.name,
            command.label or command.help,
            show=bool(command.label),
            tooltip=command.help,
            id=command.id,
        )
        for command in COMMANDS
        if view in command.views
    ]
