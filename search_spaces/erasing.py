"""The largest share of a training image that random erasing takes away (MIDRE); published 0.4 and 0.8."""

from search_spaces.domains import Branch, Float

ERASING = Branch({"defense.kind": "midre"}, {"defense.area": Float(0.1, 0.8, start=0.4)})
