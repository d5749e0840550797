"""The command line. `main` is the whole of it; what a command needs is loaded when it runs."""

from apftui.cli.check import check
from apftui.cli.control import reload, stop
from apftui.cli.decide import decide
from apftui.cli.explain import explain
from apftui.cli.init import init
from apftui.cli.intent import intent
from apftui.cli.plan import plan
from apftui.cli.queue import queue
from apftui.cli.root import main
from apftui.cli.status import status

for _command in (init, check, decide, plan, status, explain, queue, intent, reload, stop):
    main.add_command(_command)

__all__ = ["main"]
