"""Kind of a file, told by its first bytes: people give files the suffix of what they should be."""

import json
import zipfile
from pathlib import Path

BEGINNING = 4096
LONGEST_HEADER = 100_000_000  # bytes, of a safetensors file


def file_kind(path: Path) -> str:
    """Return the kind of the file at `path`, by its content.

    "safetensors", "torch" (a zip of torch.save), "pickle" (as older torch saved), "torchscript", or why it
    holds no weights, in words: "an empty file", "a Git LFS pointer …", "a web page", …; "unknown" at last.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(BEGINNING)
    if not head:
        return "an empty file"
    if not head.strip(b"\0"):
        return "a file of nothing but zeros, as an interrupted copy leaves it"
    if head.startswith(b"version https://git-lfs.github.com/spec/"):
        return "a Git LFS pointer instead of the file itself; fetch it with 'git lfs pull'"
    if head.lstrip()[:1] == b"<":
        return "a web page (HTML or XML) instead of the file, as a download that needs a login gives"
    if head.startswith(b"PK\x03\x04"):
        return _zip_kind(path)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= LONGEST_HEADER:
        return _safetensors_kind(head, size)
    if head[0] == 0x80 and len(head) > 1 and head[1] <= 5:
        return "pickle"
    for magic, kind in (
        (b"\x1f\x8b", "a gzip archive; unpack it first"),
        (b"BZh", "a bzip2 archive; unpack it first"),
        (b"\xfd7zXZ", "an xz archive; unpack it first"),
        (b"Rar!", "a RAR archive; unpack it first"),
        (b"7z\xbc\xaf", "a 7z archive; unpack it first"),
        (b"\x89HDF", "an HDF5 file, as Keras saves; convert it to a state dict of torch"),
        (b"\x93NUMPY", "a NumPy array; save a state dict with torch.save"),
        (b"GGUF", "a GGUF file; take the weights as torch or safetensors"),
        (b"\x08", "an ONNX model; take the weights as torch or safetensors"),
    ):
        if head.startswith(magic):
            return kind
    if head[257:262] == b"ustar":
        return "a tar archive; unpack it first"
    if head.lstrip()[:1] in (b"{", b"["):
        return "a JSON text"
    return "unknown"


def _safetensors_kind(head: bytes, size: int) -> str:
    length = int.from_bytes(head[:8], "little")
    if length > size:
        return f"a cut-off safetensors file of {size:,} bytes; copy or download it again"
    return "safetensors"


def _zip_kind(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return f"a cut-off file of {path.stat().st_size:,} bytes; copy or download it again"
    last = {name.rpartition("/")[2] for name in names}
    if "constants.pkl" in last:
        return "torchscript"
    if "data.pkl" in last:
        return "torch"
    if any(name.endswith(".npy") for name in names):
        return "an archive of NumPy arrays; save a state dict with torch.save"
    return "a zip archive of other files; unpack it first"


def is_cut_off(path: Path) -> bool:
    """Return whether a safetensors file ends before the tensors that its header promises."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError):
            return False
    return path.stat().st_size < 8 + length + max(ends, default=0)
