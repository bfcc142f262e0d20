"""No defense: the branch that every union of defenses starts with."""

from search_spaces.domains import Branch

UNDEFENDED = Branch({"defense.kind": "none"})
