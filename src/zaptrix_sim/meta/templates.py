"""The templates of a WhatsApp Business account: listed in pages, reviewed, changed by Meta, deleted.

https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/template-management
"""

import secrets
from collections.abc import Mapping
from typing import Any, Final

from zaptrix_sim.meta import template_list as listing
from zaptrix_sim.meta.errors import GraphError, bad_parameter
from zaptrix_sim.meta.send_template import COMPONENT_FIELDS
from zaptrix_sim.meta.webhooks import MetaWebhooks
from zaptrix_sim.world.engine import Engine
from zaptrix_sim.world.world import Waba

Json = dict[str, Any]
CATEGORIES: Final = ("MARKETING", "UTILITY", "AUTHENTICATION")
EDITABLE: Final = ("APPROVED", "REJECTED", "PAUSED")
BODY_MAX: Final = 1024


class MetaTemplates:
    def __init__(self, engine: Engine, webhooks: MetaWebhooks) -> None:
        self._engine = engine
        self._webhooks = webhooks

    # --- what an app asks ----------------------------------------------------------------------------------------

    def page(self, waba: Waba, query: Mapping[str, str], url: str) -> Json:
        """`paging.next` stands there while more is left, and asks as this call did; the cursors always do."""
        return listing.page(list(waba.templates.values()), query, url)

    def one(self, waba: Waba, template_id: str, query: Mapping[str, str]) -> Json:
        return listing.card(waba.templates[template_id], query)

    def edit(self, waba: Waba, template_id: str, wanted: Json) -> Json:
        """Its components, or its category, which goes through review again."""
        made = waba.templates[template_id]
        if made["status"] not in EDITABLE:
            raise _invalid(2388039, "The template cannot be edited in its status.")
        if "components" in wanted:
            _judge_components(wanted["components"])
        made |= {name: wanted[name] for name in ("components", "category") if name in wanted} | {"status": "PENDING"}
        self._engine.world.changes += 1
        return {"success": True, **{name: made[name] for name in ("id", "name", "category")}}

    def create(self, waba: Waba, wanted: Json) -> Json:
        """Taken in for review; it is not approved before somebody says so by /control."""
        for name in ("name", "language", "category", "components"):
            if not wanted.get(name):
                raise bad_parameter(f"The parameter {name} is required.")
        if wanted["category"] not in CATEGORIES:
            raise bad_parameter("Param category must be one of {MARKETING, UTILITY, AUTHENTICATION}")
        if any(
            (one["name"], one["language"]) == (wanted["name"], wanted["language"]) for one in waba.templates.values()
        ):
            raise _invalid(2388024, "Content in This Language Already Exists")
        _judge_components(wanted["components"])
        made = self.put(waba, wanted | {"status": "PENDING"})
        return {name: made[name] for name in ("id", "status", "category")}

    def delete(self, waba: Waba, query: Mapping[str, str]) -> Json:
        """By name, in all languages; by name and `hsm_id`, one; or by a list of ids."""
        ids = [query["hsm_id"]] if query.get("hsm_id") else listing.values(query.get("hsm_ids", ""))
        name = query.get("name", "")
        gone = [
            key
            for key, one in waba.templates.items()
            if (key in ids or not ids) and (one["name"] == name or (not name and "hsm_ids" in query))
        ]
        if not gone:
            raise GraphError(100, "Invalid parameter", subcode=2593002, details="Message template not found")
        for key in gone:
            del waba.templates[key]
        self._engine.world.changes += 1
        return {"success": True}

    # --- what a test, or Meta itself, does -----------------------------------------------------------------------

    def put(self, waba: Waba, wanted: Json) -> Json:
        """A template as it is from now on, without review and without a word."""
        made: Json = {
            "id": str(wanted.get("id") or 10**15 + secrets.randbelow(9 * 10**15)),
            "name": str(wanted["name"]),
            "language": str(wanted.get("language") or "pt_BR"),
            "status": str(wanted.get("status") or "APPROVED"),
            "category": str(wanted.get("category") or "UTILITY"),
            "parameter_format": str(wanted.get("parameter_format") or "POSITIONAL"),
            "quality_score": {"score": str(wanted.get("quality") or "UNKNOWN"), "date": int(self._engine.now())},
            "rejected_reason": "NONE",
            "components": list(wanted.get("components") or []),
        }
        waba.templates[made["id"]] = made
        self._engine.world.changes += 1
        return made

    def change(self, waba: Waba, wanted: Json) -> Json:
        """Meta changes a template and tells every subscriber."""
        language = wanted.get("language")
        made = next(
            one
            for one in waba.templates.values()
            if one["name"] == wanted["name"] and language in {None, one["language"]}
        )
        who = {
            "message_template_id": int(made["id"]),
            "message_template_name": made["name"],
            "message_template_language": made["language"],
        }
        if "status" in wanted:
            made["status"] = wanted["status"]
            told = {"event": wanted["status"], "reason": wanted.get("reason") or "NONE"}
            self._tell(waba, "message_template_status_update", told | who)
        if "quality" in wanted:
            told = {"previous_quality_score": made["quality_score"]["score"], "new_quality_score": wanted["quality"]}
            made["quality_score"] = {"score": wanted["quality"], "date": int(self._engine.now())}
            self._tell(waba, "message_template_quality_update", told | who)
        if "category" in wanted:
            told = {"previous_category": made["category"], "new_category": wanted["category"]}
            made["category"] = wanted["category"]
            self._tell(waba, "template_category_update", told | who)
        if "components" in wanted:
            made["components"] = wanted["components"]
            body = next((part.get("text") for part in made["components"] if part["type"] == "BODY"), "")
            self._tell(waba, "message_template_components_update", who | {"message_template_element": body})
        self._engine.world.changes += 1
        return made

    def _tell(self, waba: Waba, field: str, value: Json) -> None:
        self._webhooks.tell_account(waba, field, value)


def _judge_components(components: Any) -> None:
    if not isinstance(components, list) or not all(isinstance(part, dict) for part in components):
        raise bad_parameter("Param components must be an array of objects.")
    bodies = [part for part in components if part.get("type") == "BODY"]
    if len(bodies) != 1:
        raise bad_parameter("Message templates must contain one body component.")
    for part in components:
        if part.get("type") not in COMPONENT_FIELDS:
            raise bad_parameter(f"Unknown component type {part.get('type')}")
    text = str(bodies[0].get("text") or "")
    if len(text) > BODY_MAX:
        raise _invalid(2388040, "The message body is longer than 1024 characters.")
    if text.startswith("{{") or text.endswith("}}"):
        raise _invalid(2388299, "Variables can't be at the start or end of the template.")
    if "{{" in text and "example" not in bodies[0]:
        raise _invalid(2388043, "The body has variables and no example.")


def _invalid(subcode: int, text: str) -> GraphError:
    return GraphError(100, "Invalid parameter", subcode=subcode, user_text=text)
