"""Compiled code on disk: made fit to be lost, and to be shared."""

from __future__ import annotations

from multiprocessing import get_context

import pytest

from sklearn_learnrule.compiler import kept
from sklearn_learnrule.compiler.compiled import listing_of
from sklearn_learnrule.compiler.machine import Code
from sklearn_learnrule.engine._fused import usual_trials
from sklearn_learnrule.rules import QLearningRule


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "cache_folder", lambda: str(tmp_path / "cache"))
    kept.warn_once.cache_clear()
    return tmp_path / "cache"


def test_code_is_kept_and_found_again(folder):
    assert kept.kept_code(("a", 1), lambda: b"code") == b"code"
    assert kept.kept_code(("a", 1), lambda: pytest.fail("compiled again")) == b"code"
    assert kept.kept_code(("a", 2), lambda: b"other") == b"other"
    assert len([*folder.iterdir()]) == 2  # nothing else is left there


@pytest.mark.parametrize("torn", [b"", b"half", "half"])
def test_a_torn_file_is_compiled_anew(folder, torn):
    kept.kept_code(("a",), lambda: b"code" * 100)
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes()[:200] if torn == "half" else torn)
    assert kept.kept_code(("a",), lambda: b"new") == b"new"
    assert kept.kept_code(("a",), lambda: pytest.fail("compiled again")) == b"new"


def test_without_room_code_is_compiled_with_one_warning(folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept.os, "replace", full)
    with pytest.warns(RuntimeWarning, match="cannot be kept.*No space left") as warned:
        assert kept.kept_code(("a",), lambda: b"code") == b"code"
        assert kept.kept_code(("b",), lambda: b"code") == b"code"
    assert len(warned) == 1 and not [*folder.iterdir()]


def test_processes_may_compile_the_same_at_once(folder):
    rule, fork = QLearningRule(2), get_context("fork")
    listing, both = listing_of(rule, usual_trials(rule)), fork.Barrier(2)

    def compile_beside_another():
        both.wait(20)
        assert Code(listing, 64).forward > 0

    processes = [fork.Process(target=compile_beside_another) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    (file,) = folder.iterdir()
    assert file.name.startswith("rule-")
