from trainables.training.frozen_name import frozen_name


def test_a_target_is_called_by_what_it_freezes():
    assert frozen_name({}) == frozen_name({"freeze_point": "none", "trained": None}) == "none"
    assert frozen_name({"freeze_point": "conv3"}) == "conv3"
    assert frozen_name({"freeze_point": "none", "trained": ["conv1", "conv4"]}) == "all but conv1, conv4"
    assert frozen_name({"trained": ()}) == "all stages"
