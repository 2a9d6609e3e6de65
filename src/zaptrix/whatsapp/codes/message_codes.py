"""Meta's codes of messages and templates: rows of the table in `codes`.

Data only.
"""

from __future__ import annotations

from zaptrix.core.wording.catalog import Sentence
from zaptrix.core.wording.error_codes import ErrorClass, Rule

_DEFECT = Sentence("fixes.meta.defect")
_TEMPLATE = Sentence("fixes.meta.template")
_MARKETING = Sentence("fixes.meta.marketing")
_GROUPS = Sentence("fixes.meta.groups")
_INBOUND = Sentence("fixes.meta.inbound")

RULES: tuple[Rule, ...] = (
    Rule((100, 131008, 131009, 135000), ErrorClass.REFUSED, _DEFECT),
    Rule(
        (131047,),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.131047"),
        "window_closed",
    ),
    Rule(
        (131026,),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.131026"),
        "unreachable",
    ),
    Rule(
        (131030,),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.131030"),
        "test_number",
    ),
    Rule(
        (130403,),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.130403"),
        "blocked",
    ),
    Rule(
        (131050,),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.131050"),
        "opted_out",
    ),
    Rule(
        (131049,),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.131049"),
        "withheld",
    ),
    Rule(
        (130472,),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.130472"),
        "withheld",
    ),
    Rule(
        (130497,),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.130497"),
        "country",
    ),
    Rule(
        (131064,),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.131064"),
        "account",
    ),
    Rule(
        (131021,),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.131021"),
        "own_number",
    ),
    Rule(
        (137000,),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.137000"),
        "identity",
    ),
    Rule(
        (131062,),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.131062"),
        "needs_phone",
    ),
    Rule(
        (131051,),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.131051"),
        "type_refused",
    ),
    Rule((131052, 131060), ErrorClass.REFUSED, _INBOUND),
    Rule(
        (131053,),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.131053"),
        "file_refused",
    ),
    Rule((131055, 134100), ErrorClass.REFUSED, _MARKETING, "template"),
    Rule(
        (131063,),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.131063"),
        "template",
    ),
    Rule(
        (131065,),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.131065"),
        "template",
    ),
    Rule((131020, 131041, 131059, range(131201, 131216)), ErrorClass.REFUSED, _GROUPS, "group"),
    Rule((132000, 132008, 132012, 132018), ErrorClass.REFUSED, _TEMPLATE, "template_fields"),
    Rule(
        (132001, 134102, 134103),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.132001"),
        "template",
    ),
    Rule(
        (132005,),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.132005"),
        "template_fields",
    ),
    Rule(
        (132007,),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.132007"),
        "template",
    ),
    Rule(
        (132015, 132016),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.132015"),
        "template",
    ),
    Rule(
        (132068, 132069),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.132068"),
        "template",
    ),
    Rule(
        (134101,),
        ErrorClass.UNAVAILABLE,
        Sentence("fixes.meta.134101"),
    ),
    # Meta gives templates' errors this range.
    Rule((range(132000, 132100),), ErrorClass.REFUSED, _TEMPLATE, "template"),
)
