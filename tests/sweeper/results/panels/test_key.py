import json
from pathlib import Path

import pytest

from sweeper.results.panels.key import identifiers, read_keys, write_key
from trainables.errors import ConfigError


def test_identifiers_follow_the_order_and_tell_exports_apart():
    panels = [{"kind": "attack", "identity": n} for n in range(3)]
    names = identifiers("mine", 0, panels)
    assert [name.partition("-")[2] for name in names] == ["001", "002", "003"]
    assert names == identifiers("mine", 0, panels)
    others = [
        identifiers("other", 0, panels),
        identifiers("mine", 1, panels),
        identifiers("mine", 0, panels[:2]),
    ]
    assert len({of[0].partition("-")[0] for of in (names, *others)}) == 4
    assert identifiers("mine", 0, panels * 1000)[-1].endswith("-3000")


def test_a_key_lies_in_the_home_and_says_that_it_is_one(home):
    for seed in (0, 1):
        panels = [{"kind": "genuine", "identity": seed}]
        path = write_key(
            home, "mine", seed, dict(zip(identifiers("mine", seed, panels), panels, strict=True))
        )
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        assert "keep this from whoever answers" in document["warning"]
        assert path.startswith(str(home.study("mine")))
    assert sorted(about["identity"] for about in read_keys(home, "mine").values()) == [0, 1]
    assert read_keys(home, "other") == {}
    Path(path).write_text("{}")
    with pytest.raises(ConfigError, match=r"expected the key of exported panels at .* writes it again"):
        read_keys(home, "mine")
