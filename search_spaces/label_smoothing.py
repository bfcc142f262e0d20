"""The amount of negative label smoothing (Struppek et al., ICLR 2024); published -0.001 to -0.1."""

from search_spaces.domains import Branch, Float

NEGATIVE = Branch(
    {"defense.kind": "negative_label_smoothing"}, {"defense.alpha": Float(-0.2, 0.0, start=-0.05)}
)
