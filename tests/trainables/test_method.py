"""Fields of methods say what they hold, and a run hands out the random streams of its seed."""

import dataclasses

import torch

from trainables.method import FILE, LATER, LENGTH, Method, file_knob, knobs_marked, later_knob, length_knob
from trainables.runtime.run import Run
from trainables.runtime.seeds import stream


@dataclasses.dataclass(frozen=True, kw_only=True)
class Example(Method):
    """A method with one knob of each sort."""

    path: str = file_knob("")
    steps: int = length_knob(3)
    added: bool = later_knob(False)
    plain: int = 1


def test_marks_name_their_fields_of_class_and_instance():
    for method in (Example, Example(steps=9)):
        assert knobs_marked(method, FILE) == ("path",)
        assert knobs_marked(method, LENGTH) == ("steps",)
        assert knobs_marked(method, LATER) == ("added",)


def test_marked_fields_are_knobs_with_their_defaults():
    assert dataclasses.asdict(Example(steps=9)) == {"path": "", "steps": 9, "added": False, "plain": 1}
    assert Example.version == 1


def test_a_run_draws_from_the_streams_of_its_seed():
    drawn = torch.rand(4, generator=Run(seed=5).stream("gmi", 2))
    assert torch.equal(drawn, torch.rand(4, generator=stream(5, "gmi", 2)))
    assert not torch.equal(drawn, torch.rand(4, generator=Run(seed=6).stream("gmi", 2)))
