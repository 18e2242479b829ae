from pathlib import Path

import pytest

from aarlab.studies import Settings, StudyError, StudyFolder


def test_a_folder_keeps_settings_and_study(tmp_path: Path):
    made = StudyFolder.create(tmp_path, Settings(researchers=3))
    assert made.study is None
    made.register("chat-1")
    again = StudyFolder.open(made.path)
    assert again.settings == Settings(researchers=3)
    assert again.study == "chat-1"
    assert made.path.stat().st_mode & 0o077 == 0  # the operator's alone


def test_two_in_one_second_differ(tmp_path: Path):
    paths = {StudyFolder.create(tmp_path, Settings()).path for _ in range(3)}
    assert len(paths) == 3


def test_what_is_no_study_is_refused(tmp_path: Path):
    with pytest.raises(StudyError, match="is no study"):
        StudyFolder.open(tmp_path)
    (tmp_path / "settings.json").write_text('{"researchers": 0}')
    with pytest.raises(StudyError, match="cannot be read"):
        StudyFolder.open(tmp_path)


def test_an_unwritable_place_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match="cannot be written") as caught:
        StudyFolder.create(tmp_path / "file", Settings())
    assert "--output" in caught.value.advice


def test_one_process_at_a_time(tmp_path: Path):
    folder = StudyFolder.create(tmp_path, Settings())
    with folder.locked(), pytest.raises(StudyError, match="being run already"), folder.locked():
        pass
    with folder.locked():
        pass


def test_files_are_written_whole(tmp_path: Path):
    folder = StudyFolder.create(tmp_path, Settings())
    folder.write(folder.report, "new")
    assert folder.report.read_text() == "new"
    assert not list(folder.path.glob("*.part"))
