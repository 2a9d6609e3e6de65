"""The Grafana dashboard: as its source gives it, with the brief's panels, in a form that Grafana 11 to 13 load."""

import json

from observe.dashboard import FILE, written
from observe.panels import SOURCE, WIDTH, Json

# Names of the brief, in its order.
SIX = [
    "Taxa de mensagens (req/s)",
    "Latência (p50, p95, p99)",
    "Tamanho das filas em tempo real",
    "Webhooks por origem (Meta vs Bitrix24)",
    "Taxa de sucesso vs erro",
    "Throughput por fila",
]


def the_dashboard() -> Json:
    found: Json = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def panels() -> list[Json]:
    return [panel for panel in the_dashboard()["panels"] if panel["type"] != "row"]


def test_the_file_is_what_its_source_gives() -> None:
    assert FILE.read_text(encoding="utf-8") == written(), "run: python -m observe dashboard"


def test_the_six_panels_of_the_brief_come_first_under_its_names() -> None:
    assert [panel["title"] for panel in panels()[:6]] == SIX


def test_file_provisioning_takes_it() -> None:
    """Classic JSON with a uid of its own and no id; the data source is chosen where it is loaded."""
    board = the_dashboard()
    assert (board["uid"], board["id"]) == ("zaptrix", None)
    assert 39 <= board["schemaVersion"] <= 42
    assert "elements" not in board, "that is the resource form, which file provisioning refuses"
    assert {variable["name"]: variable["type"] for variable in board["templating"]["list"]}["DS"] == "datasource"
    used = [panel["datasource"] for panel in panels()]
    used += [target["datasource"] for panel in panels() for target in panel["targets"]]
    assert all(source == SOURCE for source in used)


def test_every_panel_has_an_id_a_place_of_its_own_and_says_what_it_shows() -> None:
    everything = the_dashboard()["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    taken: set[tuple[int, int]] = set()
    for panel in everything:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= WIDTH
        assert not cells & taken, panel["title"]
        taken |= cells
    assert all(panel["description"].count("\n\n") == 1 for panel in panels())
