"""URLs in messages: passwords, tokens and keys are masked, wherever in a URL they stand."""

import re

MASK = "***"

# Parameters of a URL's query that are no secret; every other value is masked.
HARMLESS = {
    *("host", "hostaddr", "port", "user", "dbname", "database", "schema", "driver", "service", "charset"),
    *("sslmode", "sslrootcert", "gssencmode", "connect_timeout", "timeout", "application_name", "mode"),
    *("target_session_attrs", "region", "endpoint", "endpoint_override", "scheme", "uri", "cache"),
}
DATABASES = ("postgres", "mysql", "mariadb", "mssql", "oracle", "sqlite")

_URL = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]*)://(?P<rest>[^\s'\"]*)")
_URL_ALONE = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]*)://(?P<rest>\S*)")
_BARE = re.compile(r"(?<![\w/:])(?P<user>[\w.+-]+):(?P<password>[^\s@/]+)@(?=[\w\[])")
_PAIR = re.compile(r"(?P<start>^|[?&;])(?P<key>[^?&;=#\s]+)=(?P<value>[^&;#\s]*)")
_WORD = re.compile(r"(?i)\b(?P<key>\w*(?:password|passwd|pwd|secret|token)\w*)=(?!\*\*\*)[^\s&;'\"]+")


def redact(text: str) -> str:
    """Return `text`, a URL or a message with URLs in it, with *** for every secret.

    Secrets are the password of ``user:password@``, a lone ``token@`` (but for databases, where it is the
    user's name), and every value of a query that is not known to be harmless.
    """
    url = _URL_ALONE.fullmatch(text)
    text = _redact_url(url) if url else _URL.sub(_redact_url, text)
    text = _BARE.sub(rf"\g<user>:{MASK}@", text)
    return _WORD.sub(rf"\g<key>={MASK}", text)


def _redact_url(match: re.Match[str]) -> str:
    scheme, rest = match["scheme"], match["rest"]
    # Up to the last @: a password may hold any sign, and too much masked is better than too little.
    userinfo, at, place = rest.rpartition("@")
    if not at or re.match(r"[^:@]*[/?]", rest):  # none before a path or a query: their @ is no end of one
        userinfo, place = "", rest
    if ":" in userinfo:
        userinfo = f"{userinfo.partition(':')[0]}:{MASK}@"
    elif userinfo:
        userinfo = f"{userinfo}@" if scheme.startswith(DATABASES) else f"{MASK}@"
    return f"{scheme}://{userinfo}{_PAIR.sub(_redact_pair, place)}"


def _redact_pair(match: re.Match[str]) -> str:
    value = match["value"] if match["key"].lower() in HARMLESS else MASK
    return f"{match['start']}{match['key']}={value}"
