from sweeper.cli.options import study_name


def test_a_study_is_named_by_itself_or_by_its_file(tmp_path):
    assert study_name("freeze_faces") == "freeze_faces"
    (tmp_path / "mine.yaml").write_text("{name: other}")
    assert study_name(str(tmp_path / "mine.yaml")) == "other"
    (tmp_path / "mine.yml").write_text("{trial: {}}")
    assert study_name(str(tmp_path / "mine.yml")) == "mine"
