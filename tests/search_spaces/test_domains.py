import pytest

from search_spaces.domains import Choice, Float, Int, Ordered, Rows, Switch


@pytest.mark.parametrize("kind", [Float, Int])
def test_ranges_are_checked(kind):
    with pytest.raises(ValueError, match=r"low end below its high end; got \[3, 2\]"):
        kind(3, 2)
    with pytest.raises(ValueError, match=r"low end above 0; got \[0, 2\]"):
        kind(0, 2, log=True)
    with pytest.raises(ValueError, match=r"start must lie in \[1, 2\]; got 3"):
        kind(1, 2, start=3)
    with pytest.raises(ValueError, match=r"start must lie in \[1, 2\]; got 0"):
        kind(1, 2, start=0)
    assert (kind(1, 2, start=1).start, kind(1, 2, start=2).start) == (1, 2)  # both ends are in the range


@pytest.mark.parametrize("end", [float("nan"), float("inf")])
def test_ends_are_finite(end):
    with pytest.raises(ValueError, match="two finite ends"):
        Float(0.0, end)


@pytest.mark.parametrize("kind", [Choice, Ordered])
def test_values_are_checked(kind):
    with pytest.raises(ValueError, match="at least one value"):
        kind(())
    with pytest.raises(ValueError, match="got a more than once"):
        kind(("a", "b", "a"))


def test_unions_are_not_empty():
    with pytest.raises(ValueError, match="at least one branch"):
        Switch({})
    with pytest.raises(ValueError, match="at least one row"):
        Rows(())
