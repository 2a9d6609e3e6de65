"""Meta's codes of the platform, the account and the number: rows of the table in `codes`.

Data only.
"""

from __future__ import annotations

from zaptrix.core.wording.catalog import Sentence
from zaptrix.core.wording.error_codes import ErrorClass, Rule

GRAPH_PAGE = "https://developers.facebook.com/docs/graph-api/guides/error-handling"

_TOKEN = Sentence("fixes.meta.token")
_MAINTENANCE = Sentence("fixes.meta.maintenance")
_REGISTER = Sentence("fixes.meta.register")

RULES: tuple[Rule, ...] = (
    Rule((0, 104, 190), ErrorClass.CHANNEL, _TOKEN),
    Rule(
        ("190/463",),
        ErrorClass.CHANNEL,
        Sentence("fixes.meta.190/463"),
        page=GRAPH_PAGE,
    ),
    Rule(
        ("190/458",),
        ErrorClass.CHANNEL,
        Sentence("fixes.meta.190/458"),
        page=GRAPH_PAGE,
    ),
    Rule(
        ("190/460", "190/464", "190/467", "190/492"),
        ErrorClass.CHANNEL,
        Sentence("fixes.meta.190/460"),
        page=GRAPH_PAGE,
    ),
    Rule(
        (3, 10, range(200, 300), 131005),
        ErrorClass.CHANNEL,
        Sentence("fixes.meta.3"),
    ),
    Rule(
        (33, "100/33"),
        ErrorClass.CHANNEL,
        Sentence("fixes.meta.33"),
    ),
    Rule(
        (368,),
        ErrorClass.CHANNEL,
        Sentence("fixes.meta.368"),
    ),
    Rule(
        (131031,),
        ErrorClass.CHANNEL,
        Sentence("fixes.meta.131031"),
    ),
    Rule(
        (131037,),
        ErrorClass.CHANNEL,
        Sentence("fixes.meta.131037"),
    ),
    Rule(
        (131042, 131044),
        ErrorClass.CHANNEL,
        Sentence("fixes.meta.131042"),
        "billing",
    ),
    Rule((131045, 133006, 133010), ErrorClass.CHANNEL, _REGISTER),
    Rule(
        (131048,),
        ErrorClass.CHANNEL,
        Sentence("fixes.meta.131048"),
        "spam",
    ),
    Rule(
        (134011,),
        ErrorClass.CHANNEL,
        Sentence("fixes.meta.134011"),
        "billing",
    ),
    Rule(
        (4, 17, 32, 613),
        ErrorClass.TOO_FAST,
        Sentence("fixes.meta.4"),
        wait_s=60.0,
        page=GRAPH_PAGE,
    ),
    Rule(
        (80007, 80008),
        ErrorClass.TOO_FAST,
        Sentence("fixes.meta.80007"),
        wait_s=60.0,
    ),
    Rule(
        (130429,),
        ErrorClass.TOO_FAST,
        Sentence("fixes.meta.130429"),
        wait_s=1.0,
    ),
    Rule(
        (131056,),
        ErrorClass.TOO_FAST,
        Sentence("fixes.meta.131056"),
        wait_s=6.0,
    ),
    Rule(
        (1,),
        ErrorClass.UNEXPECTED,
        Sentence("fixes.meta.1"),
    ),
    Rule(
        (2, 131000, 131016, 133004),
        ErrorClass.UNAVAILABLE,
        Sentence("fixes.meta.2"),
    ),
    Rule((131057, 2494100), ErrorClass.UNAVAILABLE, _MAINTENANCE),
    Rule(
        (133000, 133015),
        ErrorClass.UNAVAILABLE,
        Sentence("fixes.meta.133000"),
    ),
)
