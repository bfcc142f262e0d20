import json
import subprocess
import sys

import pytest

from sweeper.cli.registry import KINDS, PRESETS, rows
from sweeper.study.presets import preset
from trainables.errors import ConfigError

ATTACKS_HAVE = {"threat_model", "target_forward", "target_backward"}


@pytest.mark.parametrize("what", KINDS)
def test_every_row_says_what_it_is_and_who_published_it(what):
    listed = rows(what)
    assert json.loads(json.dumps(listed)) == listed
    assert len({row["name"] for row in listed}) == len(listed)
    for row in listed:
        assert set(row) - ATTACKS_HAVE == {"name", "summary", "source"}
        assert row["name"] and row["summary"] and row["source"], row
        assert "\n" not in row["summary"]


def test_rows_are_those_of_the_registries():
    from search_spaces import SPACES
    from trainables.attacks import ATTACKS
    from trainables.defenses import DEFENSES

    assert [row["name"] for row in rows("spaces")] == list(SPACES)
    assert [row["name"] for row in rows("attacks")] == list(ATTACKS)
    seen = [(row["name"], row["threat_model"]) for row in rows("attacks")]
    assert seen == [(name, attack.threat_model) for name, attack in ATTACKS.items()]
    assert [row["name"] for row in rows("defenses")] == list(DEFENSES)
    assert [row["name"] for row in rows("presets")] == sorted(path.stem for path in PRESETS.glob("*.yaml"))


def test_a_preset_is_described_by_its_first_comments(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text("# summary: a tiny sweep: two trials\n# source: nobody\ntrial: {}\n# summary: not this\n")
    assert preset(path) == {"name": "tiny", "summary": "a tiny sweep: two trials", "source": "nobody"}
    path.write_text("trial: {}\n")
    assert preset(path) == {"name": "tiny", "summary": "", "source": ""}


def test_an_unknown_word_is_named():
    with pytest.raises(ConfigError, match=r"one of attacks, defenses, .* got 'attack'"):
        rows("attack")


def test_listing_spaces_and_presets_does_not_load_torch():
    code = (
        "import sys; from sweeper.cli.registry import rows; rows('spaces'), rows('presets'); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
