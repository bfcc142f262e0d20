"""Fisher information by layer, as one SVG without any script: shares of classification and of inversion."""

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from sweeper.report.text_width import text_width
from sweeper.statistics.round_numbers import round_values

WIDTH, PANEL = 880, 230  # of the picture, and the height of each row of an analysis
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 44, 52
SIZE = 12.0  # of the font
SERIES = {
    "classification_share": ("classification", "#3b6ea8"),
    "inversion_l2_share": ("inversion (L2)", "#c0542c"),
    "inversion_squared_l2_share": ("inversion (squared L2)", "#d9a441"),
    "inversion_l1_share": ("inversion (L1)", "#7a8f3a"),
    "inversion_lpips_share": ("inversion (LPIPS)", "#8a5fa8"),
}
STYLE = (
    "<style>.layers text{font:12px system-ui,sans-serif;fill:#333}.layers .soft{fill:#666}"
    ".layers .rule{stroke:#ddd}@media(prefers-color-scheme:dark){.layers text{fill:#ddd}"
    ".layers .soft{fill:#aaa}.layers .rule{stroke:#444}}</style>"
)


def layers_svg(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a panel of bars for each row of the analysis `layers`: shares, and raw means."""
    height = PANEL * len(rows) + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" class="layers" '
        f'role="img" aria-label="Share of the Fisher information by layer">{STYLE}'
    ]
    x = float(LEFT)
    for name, colour in SERIES.values():
        parts.append(f'<rect x="{x:.1f}" y="8" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{x + 16:.1f}" y="18">{escape(name)}</text>')
        x += 16 + text_width(name, SIZE) + 12
    for number, row in enumerate(rows):
        parts += _panel(row, 24 + number * PANEL)
    return "".join((*parts, "</svg>"))


def _panel(row: Mapping[str, Any], above: float) -> list[str]:
    layers = row["layer"]
    shown = {series: drawn for series, drawn in SERIES.items() if series in row}  # kept figures may lack some
    top = max((max(row[series]) for series in shown), default=0.0) or 1.0
    bottom, room = above + PANEL - BOTTOM, PANEL - TOP - BOTTOM
    who = "target" if row["trial"] is None else f"trial {row['trial']}"
    title = f"{who}, {row['attack']}: suggested freeze point {row['suggested_freeze_point']}"
    parts = [f'<text x="{LEFT}" y="{above + 26}">{escape(title)}</text>']
    for tick in round_values(0.0, top, 5):
        y = bottom - tick / top * room
        parts.append(f'<path class="rule" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" fill="none"/>')
        parts.append(
            f'<text class="soft" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{100 * tick:.4g} %</text>'
        )
    slot = (WIDTH - LEFT - RIGHT) / len(layers)
    bar = 0.8 * slot / max(1, len(shown))
    for index, layer in enumerate(layers):
        start = LEFT + index * slot + 0.1 * slot
        for place, (series, (name, colour)) in enumerate(shown.items()):
            share, mean = row[series][index], row[series.removesuffix("_share")][index]
            tall = share / top * room
            text = f"{layer}, {name}\nshare {100 * share:.3g} %, mean {mean:.3g}"
            parts.append(
                f'<rect x="{start + place * bar:.1f}" y="{bottom - tall:.1f}" width="{bar:.1f}" '
                f'height="{tall:.1f}" fill="{colour}"><title>{escape(text)}</title></rect>'
            )
        x = LEFT + (index + 0.5) * slot
        turned = f'transform="rotate(-35 {x:.1f} {bottom + 14})" text-anchor="end"'
        place_of = turned if len(layers) > 8 else 'text-anchor="middle"'
        parts.append(
            f'<text class="soft" x="{x:.1f}" y="{bottom + 16}" {place_of} data-layer={quoteattr(layer)}>'
            f"{escape(layer)}</text>"
        )
    return parts
