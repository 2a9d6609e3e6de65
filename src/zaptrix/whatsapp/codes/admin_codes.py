"""Meta's codes of what only admins do (registration, calls, flows, names, onboarding): rows of the table in `codes`.

No message of ours should meet one; a message that does is refused, and the admin is told what it is about. Data only.
"""

from __future__ import annotations

from zaptrix.core.wording.catalog import Sentence
from zaptrix.core.wording.error_codes import ErrorClass, Rule

RULES: tuple[Rule, ...] = (
    Rule(
        (133005,),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.133005"),
    ),
    Rule(
        (133008, 133009),
        ErrorClass.TOO_FAST,
        Sentence("fixes.meta.133008"),
        wait_s=3600.0,
    ),
    Rule(
        (133016,),
        ErrorClass.TOO_FAST,
        Sentence("fixes.meta.133016"),
        wait_s=3600.0,
    ),
    Rule(
        (136024, 136025),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.136024"),
    ),
    Rule(
        (range(138000, 138008), 138009, 138012, 138018, 138038),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.138000"),
    ),
    Rule(
        (range(139000, 139005),),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.139000"),
    ),
    Rule(
        (139100, 139101),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.139100"),
    ),
    Rule(
        (139102, 139103),
        ErrorClass.UNAVAILABLE,
        Sentence("fixes.meta.139102"),
    ),
    Rule(
        (range(147001, 147006),),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.147001"),
    ),
    Rule(
        (range(200005, 200008),),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.200005"),
    ),
    Rule(
        (2388019, 2388039, *(f"100/{sub}" for sub in (2388040, 2388047, 2388072, 2388073, 2388293, 2388299))),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.2388019"),
        "template",
    ),
    Rule(
        (2388001, 2388012, 2388091, 2388093, 2388103),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.2388001"),
    ),
    Rule(
        (1752041, 2494191, 2593079, 2593085, 2593107, 2593108, 2593109),
        ErrorClass.REFUSED,
        Sentence("fixes.meta.1752041"),
    ),
)
