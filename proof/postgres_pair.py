"""A primary and its synchronous standby as one server of a world, which is promoted when the primary is killed."""

from __future__ import annotations

import asyncio
from pathlib import Path

from proof.engines import Engine, either

DATABASE = "zaptrix"
_SYNCHRONOUS = "ALTER SYSTEM SET synchronous_standby_names = '{names}'"


class PostgresPair:
    """`url` names both, as a deployment does: who dials finds the one that takes writes."""

    def __init__(self, folder: Path) -> None:
        """`folder` holds the data of a primary, stopped, as that of an embedded one."""
        self._primary = Engine(folder / "postgres", data=folder / "postgres")
        self._standby = Engine(folder / "standby")
        self.url = either(self._primary, self._standby, database=DATABASE, target_session_attrs="read-write")

    @property
    def pid(self) -> int | None:
        return self._primary.pid

    def exit_code(self) -> int | None:
        return self._primary.exit_code()

    def start(self) -> None:
        self._primary.start()
        self._pair_up()

    def stop(self) -> None:
        self._primary.stop()
        self._standby.stop()

    def kill(self) -> None:
        self._primary.kill()

    def fail_over(self) -> None:
        """The primary dies; its standby takes its place, and what is left of the old one becomes a standby anew."""
        self._primary.kill()
        self._say(self._standby, _SYNCHRONOUS.format(names=""))
        self._standby.promote()
        self._primary, self._standby = self._standby, self._primary
        self._standby.forget()
        self._pair_up()

    def _pair_up(self) -> None:
        """From here on nothing is answered that the standby does not have."""
        if not self._standby.is_made:
            self._standby.follow(self._primary)
        self._standby.start()
        self._say(self._primary, _SYNCHRONOUS.format(names="*"))

    @staticmethod
    def _say(engine: Engine, statement: str) -> None:
        asyncio.run(engine.execute(statement, "SELECT pg_reload_conf()"))
