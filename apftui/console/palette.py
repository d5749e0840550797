"""The commands by name, behind `:`."""

from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from apftui.console.commands import BY_NAME, Command


class Commands(Provider):
    """Offers what the screen below can do now. All its text is our own, none from outside."""

    async def discover(self) -> Hits:
        for command, key in self._usable():
            yield DiscoveryHit(
                self._prompt(command, key), partial(self._run, command), command.help
            )

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for command, key in self._usable():
            score = max(matcher.match(command.help), matcher.match(command.label or command.name))
            if score > 0:
                yield Hit(
                    score, self._prompt(command, key), partial(self._run, command), command.help
                )

    def _usable(self) -> list[tuple[Command, str]]:
        """Return what can be done now, what stands in the key bar first; not mere movement."""
        usable: dict[Command, str] = {}
        for active in self.screen.active_bindings.values():
            command = BY_NAME.get(active.binding.action)
            if command and active.enabled and command not in usable:
                usable[command] = self.app.get_key_display(active.binding)
        names = sorted(usable, key=lambda command: (not command.label, command.rank))
        return [
            (command, usable[command])
            for command in names
            if command.name != "command_palette"
            and (command.label or not command.id.startswith("nav."))
        ]

    def _prompt(self, command: Command, key: str) -> Content:
        return Content(f"{command.help}  ({key})")

    async def _run(self, command: Command) -> None:
        await self.app.run_action(command.name, self.screen)
