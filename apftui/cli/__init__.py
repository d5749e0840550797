"""The command line. `main` is the whole of it; what a command needs is loaded when it runs."""

from apftui.cli.actions import actions, undo
from apftui.cli.check import check
from apftui.cli.control import reload, stop
from apftui.cli.decide import decide
from apftui.cli.explain import explain
from apftui.cli.init import init
from apftui.cli.intent import intent
from apftui.cli.plan import plan
from apftui.cli.queue import queue
from apftui.cli.root import main
from apftui.cli.set import set_, unset
from apftui.cli.status import status
from apftui.cli.wrappers import wrappers

_EVERYDAY = (init, check, decide, plan, status, explain)
for _command in (*_EVERYDAY, queue, wrappers, actions, undo, intent, reload, stop):
    main.add_command(_command)
for _below in (set_, unset):
    queue.add_command(_below)

__all__ = ["main"]
