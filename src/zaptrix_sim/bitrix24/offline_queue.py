"""A portal's queue of offline events: kept until the application reads them, for its administrators alone.

https://apidocs.bitrix24.com/api-reference/events/offline-events.html
"""

from typing import Any, Final

from zaptrix_sim.bitrix24.call import Call, Method
from zaptrix_sim.bitrix24.php_form import listed
from zaptrix_sim.world.bitrix24_errors import refusal
from zaptrix_sim.world.world import opaque

LIMIT: Final = 50
EXTENDED: Final = "rest_offline_extended"
# What `event.offline.get` hands out of a row.
SHOWN: Final = ("ID", "TIMESTAMP_X", "EVENT_NAME", "EVENT_DATA", "EVENT_ADDITIONAL", "MESSAGE_ID")


def need_admin(call: Call) -> None:
    """Raises ACCESS_DENIED for an operator's token."""
    if call.token.user_id in call.portal.operators.values():
        raise refusal("ACCESS_DENIED")


async def offline_get(call: Call) -> Any:
    """Reads and removes; keeping the rows under a process id is a feature of larger plans.

    Rows that another reading keeps are not handed out, and those of one's own only when its process id is named.
    """
    need_admin(call)
    keep, process_id = str(call.get("CLEAR", 1)) == "0", str(call.get("PROCESS_ID") or "")
    if keep and EXTENDED not in call.portal.features:
        raise refusal("WRONG_LICENSE")
    error = "1" if str(call.get("ERROR", 0)) == "1" else "0"
    free = [row for row in _rows(call) if (row["PROCESS_ID"], row["ERROR"]) == (process_id, error)]
    taken = free[: call.number("LIMIT", LIMIT)]
    if keep:
        process_id = process_id or opaque(32)
        for row in taken:
            row["PROCESS_ID"] = process_id
    else:
        _forget(call, taken)
    return {"process_id": process_id, "events": [{name: row[name] for name in SHOWN} for row in taken]}


async def offline_list(call: Call) -> Any:
    """The queue as it stands; of the filters those by process and error."""
    need_admin(call)
    wanted = call.get("FILTER") or {}
    return [row for row in _rows(call) if all(_passes(row, *rule) for rule in wanted.items())][:LIMIT]


async def offline_clear(call: Call) -> Any:
    """Those that are named, or all of the process."""
    need_admin(call)
    process_id = str(call.need("PROCESS_ID"))
    _forget(call, [row for row in _rows(call) if row["PROCESS_ID"] == process_id and _is_named(call, row)])
    return True


async def offline_error(call: Call) -> Any:
    need_admin(call)
    process_id, named = str(call.need("PROCESS_ID")), set(listed(call.need("MESSAGE_ID")))
    for row in _rows(call):
        if row["PROCESS_ID"] == process_id and row["MESSAGE_ID"] in named:
            row["ERROR"] = "1"
    return True


METHODS: Final[dict[str, Method]] = {
    "event.offline.get": offline_get,
    "event.offline.list": offline_list,
    "event.offline.clear": offline_clear,
    "event.offline.error": offline_error,
}


def _rows(call: Call) -> list[dict[str, Any]]:
    return list(call.portal.offline.values())


def _forget(call: Call, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        call.portal.offline.pop(int(row["ID"]), None)


def _is_named(call: Call, row: dict[str, Any]) -> bool:
    ids, message_ids = call.get("ID"), call.get("MESSAGE_ID")
    if ids:
        return row["ID"] in {str(each) for each in listed(ids)}
    return not message_ids or row["MESSAGE_ID"] in set(listed(message_ids))


def _passes(row: dict[str, Any], name: str, value: Any) -> bool:
    if name.startswith("!"):
        return str(row[name.lstrip("!=")]) != str(value)
    return str(row[name.lstrip("=")]) == str(value)
