"""Width of text that a browser will draw: what a plot must know so that nothing covers anything else."""

# Advance widths in em, of DejaVu Sans, the widest of the usual faces. What is not listed counts as one em.
_WIDTHS = {
    " '.,:;|ijlI": 0.36,
    '!()[]ft-r/\\"': 0.46,
    "_*csxyzvkJ`{}L?–": 0.65,
    "abdeghnopquETFSZYPβ0123456789$": 0.70,
    "ABCKRVXλα": 0.74,
    "DGHNOQU&+<=>#~^": 0.84,
}
_EM = {character: width for characters, width in _WIDTHS.items() for character in characters}
BOLD = 1.14


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return the width of `text` in pixels, rather too much than too little. size: of the font, in pixels."""
    return size * (BOLD if bold else 1.0) * sum(_EM.get(character, 1.1) for character in text)


def shorten(text: str, width: float, size: float, *, bold: bool = False) -> str:
    """Return as much of the beginning of `text` as fits into `width` pixels, with an ellipsis if cut."""
    if text_width(text, size, bold=bold) <= width:
        return text
    while text and text_width(text + "…", size, bold=bold) > width:
        text = text[:-1]
    return text.rstrip() + "…"
