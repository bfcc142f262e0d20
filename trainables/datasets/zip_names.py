"""Names of the entries of a zip: programs write them in different bytes, and many do not say in which."""

import struct
import zipfile
import zlib

UTF8 = 0x800  # flag bit 11: the name is UTF-8
UNICODE_PATH = 0x7075  # Info-ZIP's extra field that holds the name in UTF-8, and a checksum of the other one


def path_of(entry: zipfile.ZipInfo) -> str:
    """Return the path of an entry, with slashes; old programs for Windows wrote backslashes.

    Python takes a name that is not said to be UTF-8 for code page 437. Info-ZIP on Linux and macOS write
    UTF-8 there all the same: what can be read so is, for no text of that code page looks like it.
    """
    name = _name(entry)
    return name if "/" in name else name.replace("\\", "/")


def _name(entry: zipfile.ZipInfo) -> str:
    if entry.flag_bits & UTF8:
        return entry.filename
    try:
        raw = entry.filename.encode("cp437")
    except UnicodeEncodeError:  # Python 3.13 reads the field itself
        return entry.filename
    for text in (_of_field(entry.extra, raw), raw):
        try:
            if text is not None:
                return text.decode("utf-8")
        except UnicodeDecodeError:
            continue
    return entry.filename


def _of_field(extra: bytes, raw: bytes) -> bytes | None:
    """Return the name in the field; None without one, or with one of another name: the entry was renamed."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        content, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == UNICODE_PATH and struct.pack("<BI", 1, zlib.crc32(raw)) == content[:5]:
            return content[5:]
    return None
