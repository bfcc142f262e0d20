"""The rank of a low-rank head, and the confidence that CALoR pulls to (arXiv 2410.05814).

Published ranks reach from 20 to 500 with 50 as the choice, gamma is 8 there and 4 in its code's class.
"""

from search_spaces.domains import Branch, Float, Int

LOW_RANK = Branch({"defense.kind": "loft"}, {"defense.rank": Int(10, 500, log=True, start=50)})

ADAPTED = Branch(
    {"defense.kind": "calor"},
    {
        "defense.rank": Int(10, 500, log=True, start=40),
        "defense.gamma": Float(1.0, 16.0, log=True, start=8.0),
    },
)
