"""Study files of tests."""

import pytest
import yaml
from small_trial import TRIAL


@pytest.fixture
def write(tmp_path):
    """Return a maker of a study file that changes, and None leaves out, a part of a small study."""

    def make(**changes):
        document = {"trial": TRIAL, "space": ["freeze_depth", "defenses"]} | changes
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump({k: v for k, v in document.items() if v is not None}))
        return str(path)

    return make
