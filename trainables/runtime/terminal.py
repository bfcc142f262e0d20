"""Text for terminals: those that know only ASCII get the nearest that they can show, closed ones nothing."""

import codecs
import os
import sys
import unicodedata

HANDLER = "nearest"
_NEAREST = {
    "–": "-",
    "—": "-",
    "−": "-",
    "…": "...",
    "·": "*",
    "×": "x",
    "±": "+/-",
    "≥": ">=",
    "≤": "<=",
    "≈": "~",
    "←": "<-",
    "→": "->",
    "↑": "^",
    "↓": "v",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "°": " deg",
    "½": "1/2",
    "α": "alpha",
    "β": "beta",
    "λ": "lambda_",
    "σ": "sigma",
    "μ": "mu",
    "Δ": "delta",
    "ψ": "psi",
    "∇": "grad",
}


def _nearest(error: UnicodeError) -> tuple[str, int]:
    """Return, as a handler of encoding errors, what stands for the characters that cannot be shown."""
    assert isinstance(error, UnicodeEncodeError)
    return "".join(map(_stand_in, error.object[error.start : error.end])), error.end


def _stand_in(character: str) -> str:
    """Return ASCII for one character: a word, its letter without accents, or its number."""
    if character in _NEAREST:
        return _NEAREST[character]
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or character.encode("ascii", "backslashreplace").decode()


codecs.register_error(HANDLER, _nearest)


def tolerant_streams() -> None:
    """Let stdout and stderr take every text, whatever their encoding, names that are no UTF-8 included."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=HANDLER)


def say(text: str) -> None:
    """Write a line to stderr; if nobody reads it any more, nothing."""
    try:
        print(text, file=sys.stderr, flush=True)
    except BrokenPipeError:
        _discard(sys.stderr)


def write(text: str) -> None:
    """Write a result to stdout; if the reader has closed it, as ``head`` does, the rest is left out."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _discard(sys.stdout)


def _discard(stream: object) -> None:
    """Send what is still in a closed stream's buffer nowhere, or Python complains when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())  # type: ignore[attr-defined]
    finally:
        os.close(nowhere)
