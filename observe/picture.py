"""The six panels as a picture, drawn from what Prometheus answered: one page of SVG, and a PNG of it by Chromium."""

from __future__ import annotations

import html
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from observe.measured import Picture

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_COLOURS = ("#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9")
_WIDTH, _HEIGHT = 460, 200
_LEFT, _TOP, _BOTTOM = 46, 10, 22
_PAGE = """<!doctype html><meta charset="utf-8"><style>
body{{margin:0;background:#111217;color:#ccccdc;font:13px sans-serif;display:grid;grid-template-columns:repeat(3,auto);
gap:8px;padding:8px;width:1464px}} section{{background:#181b1f;border:1px solid #2c3235;padding:8px}}
h2{{font-size:14px;font-weight:500;margin:0 0 6px}} small{{margin-right:12px}} text{{fill:#8e8e9b;font:11px sans-serif}}
</style>{sections}"""


def page(pictures: Sequence[Picture]) -> str:
    """HTML with a section a panel."""
    return _PAGE.format(sections="".join(map(_section, pictures)))


def png(pictures: Sequence[Picture], path: Path) -> None:
    """Draw them into a file. Raises FileNotFoundError without a Chromium."""
    browser = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise FileNotFoundError("there is no chromium to draw with")
    with tempfile.TemporaryDirectory(prefix="zaptrix-picture-") as folder:
        source = Path(folder) / "panels.html"
        source.write_text(page(pictures), encoding="utf-8")
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1480,560"]
        command = [browser, *options, f"--user-data-dir={folder}/profile", f"--screenshot={path}", source.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=60)


def _section(picture: Picture) -> str:
    names = sorted(picture.series)
    legend = "".join(
        f'<small style="color:{_COLOURS[place % len(_COLOURS)]}">— {html.escape(name)}</small>'
        for place, name in enumerate(names)
    )
    return f"<section><h2>{html.escape(picture.title)}</h2>{_chart(picture, names)}<div>{legend}</div></section>"


def _chart(picture: Picture, names: Sequence[str]) -> str:
    points = [point for name in names for point in picture.series[name]]
    last = max((at for at, _ in points), default=1.0) or 1.0
    top = (max((value for _, value in points), default=1.0) or 1.0) * 1.1
    right, bottom = _WIDTH - 8, _HEIGHT - _BOTTOM

    def place(at: float, value: float) -> str:
        return f"{_LEFT + at / last * (right - _LEFT):.1f},{bottom - value / top * (bottom - _TOP):.1f}"

    parts = []
    for step in range(5):
        value = top * step / 4
        y = bottom - (bottom - _TOP) * step / 4
        parts.append(f'<line x1="{_LEFT}" x2="{right}" y1="{y}" y2="{y}" stroke="#2c3235"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{_told(value, picture.unit)}</text>')
        at = last * step / 4
        x = _LEFT + (right - _LEFT) * step / 4
        parts.append(f'<text x="{x}" y="{_HEIGHT - 6}" text-anchor="middle">{at:.0f} s</text>')
    for number, name in enumerate(names):
        line = " ".join(place(at, value) for at, value in picture.series[name])
        colour = _COLOURS[number % len(_COLOURS)]
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    return f'<svg width="{_WIDTH}" height="{_HEIGHT}">{"".join(parts)}</svg>'


def _told(value: float, unit: str) -> str:
    if unit == "s":
        return f"{value:.1f} s" if value >= 1 else f"{value * 1000:.0f} ms"
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"
