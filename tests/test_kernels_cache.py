"""Compiled kernels on disk: whatever happens to their files costs a compilation, no more."""

from __future__ import annotations

import errno
import sys
from importlib import import_module

import pytest
from numba.core.caching import IndexDataCacheFile

from sklearn_learnrule.compiler import kept as kept_code
from sklearn_learnrule.engine import _kernels_cache
from sklearn_learnrule.engine._kernels_state import kernel

UNREADABLE = "Compiled code in .* cannot be read: compiling anew"
UNKEPT = "Compiled code cannot be kept .* Make room there, or set NUMBA_CACHE_DIR"


@pytest.fixture
def make_kernel(tmp_path, monkeypatch):
    """Return what makes the same kernel, as a new process would."""
    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path / "cache"))
    kept_code.warn_once.cache_clear()
    (tmp_path / "a_kernel.py").write_text("def doubled(x):\n    return 2 * x\n")
    monkeypatch.syspath_prepend(tmp_path)

    def make():
        sys.modules.pop("a_kernel", None)
        return kernel(import_module("a_kernel").doubled)

    return make


def files(tmp_path, suffix):
    return list((tmp_path / "cache").rglob(f"*{suffix}"))


def compiled(made):
    """How many times it was compiled, not read."""
    return sum(made.stats.cache_misses.values())


@pytest.fixture
def kept(make_kernel):
    assert make_kernel()(3) == 6
    again = make_kernel()
    assert again(3) == 6 and compiled(again) == 0
    return make_kernel


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("content", ["", "half", "garbage"])
def test_a_torn_file_is_compiled_anew_with_one_warning_and_written_again(
    kept, tmp_path, suffix, content
):
    (torn,) = files(tmp_path, suffix)
    whole = torn.read_bytes()
    torn.write_bytes(
        {"": b"", "half": whole[: len(whole) // 2], "garbage": b"\x93NUMPY" * 9}[content]
    )
    with pytest.warns(RuntimeWarning, match=UNREADABLE) as warned:
        mended = kept()
        assert mended(3) == 6 and mended(3.0) == 6
    assert len(warned) == 1
    again = kept()
    assert again(3) == 6 and again(3.0) == 6 and compiled(again) == 0


def no_room(self, path):
    raise OSError(errno.ENOSPC, "No space left on device", f"{path}.tmp.{id(object())}")


def test_a_full_disk_costs_compiling_with_one_warning(make_kernel, monkeypatch):
    monkeypatch.setattr(IndexDataCacheFile, "_open_for_write", no_room)
    with pytest.warns(RuntimeWarning, match=UNKEPT) as warned:
        assert make_kernel()(3) == 6
        assert make_kernel()(3) == 6
    assert len(warned) == 1 and "No space left on device" in str(warned[0].message)


def test_a_torn_file_on_a_full_disk_costs_compiling(kept, tmp_path, monkeypatch):
    (index,) = files(tmp_path, ".nbi")
    index.write_bytes(b"")
    monkeypatch.setattr(IndexDataCacheFile, "_open_for_write", no_room)
    with pytest.warns(RuntimeWarning, match=UNREADABLE), pytest.warns(RuntimeWarning, match=UNKEPT):
        assert kept()(3) == 6


def test_without_any_folder_to_write_to_kernels_are_compiled(make_kernel, monkeypatch):
    monkeypatch.setattr("numba.core.caching.CacheImpl._locator_classes", [])
    with pytest.warns(RuntimeWarning, match=UNKEPT):
        made = make_kernel()
    assert made(3) == 6 and made.stats.cache_path is None


def test_what_another_process_kept_for_other_types_is_not_taken(kept, tmp_path):
    """Two processes that begin together may give their files the same name."""
    (of_integers,) = files(tmp_path, ".nbc")
    integers = of_integers.read_bytes()
    assert kept()(3.5) == 7
    (of_floats,) = set(files(tmp_path, ".nbc")) - {of_integers}
    of_floats.write_bytes(integers)
    again = kept()
    assert again(3.5) == 7 and compiled(again) == 1


def test_a_change_of_what_kernels_call_compiles_them_anew(kept, monkeypatch):
    monkeypatch.setattr(_kernels_cache, "sources_stamp", lambda: "other")
    again = kept()
    assert again(3) == 6 and compiled(again) == 1
