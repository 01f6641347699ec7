"""Files are replaced as a whole or not at all, and no text in a table is a formula."""

import ast
import errno
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sklearn_learnrule.utils.files import replacing, write_csv

ROOT = Path(__file__).resolve().parents[1]


def test_a_write_that_fails_half_way_leaves_the_old_file_and_no_litter(tmp_path):
    file = tmp_path / "table.csv"
    file.write_text("last week's")
    for failure in (OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()):
        with pytest.raises(type(failure)), replacing(file) as beside:
            beside.write_text("hal")
            raise failure
    assert file.read_text() == "last week's"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_a_disk_that_is_full_when_the_file_is_synced_loses_nothing(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    file = tmp_path / "table.csv"
    file.write_text("last week's")
    with pytest.raises(OSError, match="No space left"), replacing(file) as beside:
        beside.write_text("this week's")
    assert file.read_text() == "last week's"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path):
    file = tmp_path / "picture.png"
    with replacing(file) as beside:
        beside.write_text("new")
        assert not file.exists()
        assert beside.parent == tmp_path and beside.suffix == ".png"  # tells savefig the format
    assert file.read_text() == "new"


def test_links_and_permissions_stay_as_they_were(tmp_path):
    file, link, new = (tmp_path / name for name in ("file", "link", "new"))
    file.write_text("old")
    file.chmod(0o640)
    link.symlink_to(file)
    with replacing(link) as beside:
        beside.write_text("new")
    assert link.is_symlink() and file.read_text() == "new"
    assert file.stat().st_mode & 0o777 == 0o640
    with replacing(new) as beside:
        beside.write_text("")
    (tmp_path / "usual").touch()
    assert new.stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_what_is_no_file_is_written_to_as_it_is():
    read, write = os.pipe()
    with replacing(f"/dev/fd/{write}") as place:
        place.write_text("through")
    assert os.read(read, 100) == b"through"
    os.close(read)
    os.close(write)


def test_a_read_only_file_and_a_missing_folder_are_told(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("old")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # a superuser may do anything
    message = f"{str(file)!r} may not be written: it is read-only."
    with pytest.raises(PermissionError, match=re.escape(message)), replacing(file):
        pass
    path = str(tmp_path / "nowhere" / "a.png")
    message = f"{path!r} should be in a folder that exists: make it first."
    with pytest.raises(FileNotFoundError, match=re.escape(message)), replacing(path):
        pass


@pytest.mark.parametrize("text", ["=1+1", "+1", "@SUM(A1)", "-x", "-2+3", "\t=1", "\r=1", "-"])
def test_a_text_that_a_spreadsheet_would_run_is_a_text(tmp_path, text):
    table = pd.DataFrame({text: [1.0, 2.0], "rule": [text, "safe"]})
    table["kind"] = table["rule"].astype("category")
    write_csv(table, tmp_path / "table.csv")
    read = pd.read_csv(tmp_path / "table.csv", lineterminator="\n")
    assert list(read) == [f"'{text}", "rule", "kind"]
    assert read["rule"].tolist() == read["kind"].tolist() == [f"'{text}", "safe"]
    assert table["rule"].tolist() == [text, "safe"]  # the user's table is not touched


def test_numbers_stay_numbers(tmp_path):
    table = pd.DataFrame({"a": [-1.5, 1e-30], "b": [-1, 2], "c": [-0.5, None], "d": ["-1e-3", "x"]})
    table["e"] = pd.Series([-1.0, "no"], dtype=object)
    table["f"] = pd.Series([-1, None], dtype="Int64")
    write_csv(table, tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text() == table.to_csv(index=False)
    assert np.isnan(pd.read_csv(tmp_path / "table.csv")["c"][1])


def test_columns_of_one_name_are_all_written(tmp_path):
    table = pd.DataFrame([["=a", 1, "b"]], columns=["x", "x", "x"])
    write_csv(table, tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text() == "x,x,x\n'=a,1,b\n"


WRITERS = {"savefig", "to_csv", "write_text", "write_bytes", "dump"}


def writes(tree):
    """The calls in a script that write a file: into memory they name its format."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            in_memory = any(keyword.arg == "format" for keyword in node.keywords)
            if node.func.attr in WRITERS and not in_memory:
                yield node


def is_replacing(node):
    return isinstance(node, ast.With) and any(
        "replacing(" in ast.unparse(item) for item in node.items
    )


@pytest.mark.parametrize("folder", ["sklearn_learnrule", "examples", "benchmarks"])
def test_every_file_is_written_beside_its_place_first(folder):
    for script in (ROOT / folder).rglob("*.py"):
        source = script.read_text(encoding="utf-8")
        if not any(f"{writer}(" in source for writer in WRITERS):
            continue
        tree = ast.parse(source)
        safe = {call for node in filter(is_replacing, ast.walk(tree)) for call in writes(node)}
        unsafe = [ast.unparse(call) for call in writes(tree) if call not in safe]
        assert not unsafe, f"{script.name}: {unsafe[0]}"
