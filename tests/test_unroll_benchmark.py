"""The benchmark of engines: its cases run, versions answer in turn, tables show what is missing."""

import sys
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from test_recovery_benchmark import BENCHMARKS

from sklearn_learnrule.engine import ENGINES


@pytest.fixture
def modules(monkeypatch):
    """The benchmark's modules, found as a script finds those beside it."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import _unroll_cases
    import _unroll_compared
    import bench_unroll

    monkeypatch.setattr(_unroll_cases, "BUSY", 0)
    return SimpleNamespace(cases=_unroll_cases, compared=_unroll_compared, script=bench_unroll)


def run(modules, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["bench_unroll.py", *map(str, arguments)])
    modules.script.main()


def test_every_rule_is_compiled_with_noise_and_without(modules):
    cases = list(modules.cases.rule_cases())
    assert {(case.rule, case.n_weights) for case in cases if case.noise} > {
        (rule, k) for rule in (*modules.cases.TEXTBOOK, "no rule") for k in range(2, 8)
    }
    for case in modules.compared.shorten(cases, quick=True):
        if case.n_weights == 2 or case.rule in modules.cases.NETWORKS:
            seconds = modules.cases.seconds_of_gradients(case)
            assert len(seconds) == 3 and min(seconds) > 0, case


def test_a_rule_without_a_kernel_has_no_seconds_and_other_faults_are_told(modules, monkeypatch):
    case = modules.cases.Case("REINFORCE", 2, n_trials=5)

    def refuse(reason):
        def unroll(*_, engine):
            raise ValueError(f"{reason} {engine!r}")

        monkeypatch.setattr(modules.cases, "unroll", unroll)

    refuse("engine='fused' has no kernel for it, not in")
    assert modules.cases.seconds_of_gradients(case) is None
    refuse("another fault in")
    with pytest.raises(ValueError, match="another fault in 'fused'"):
        modules.cases.seconds_of_gradients(case)


def test_a_checkout_answers_from_its_own_package_or_not_at_all(modules, tmp_path, capfd):
    case = modules.cases.Case("no rule", 2, n_trials=5)
    compared = modules.compared
    with compared.start(compared.HERE, str(tmp_path)) as process:
        assert len(compared.ask(process, case)) >= 3
        with pytest.raises(RuntimeError, match="The process of .* ended at Case.*'no such rule'"):
            compared.ask(process, replace(case, rule="no such rule"))
    with pytest.raises(RuntimeError, match="The package in .* does not start"):
        compared.start(tmp_path, str(tmp_path))
    assert f"No package sklearn_learnrule in {tmp_path}: found that of" in capfd.readouterr().err


def test_two_versions_answer_in_turn_and_stand_side_by_side(modules, monkeypatch, tmp_path, capsys):
    (tmp_path / "sklearn_learnrule").mkdir()
    asked = []

    def ask(checkout, case):
        asked.append((checkout, case))
        before = checkout == tmp_path
        if before and case.rule == modules.cases.OWN and case.engine == "fused":
            return None
        milliseconds = {"loop": 2000, "parallel": 100, "fused": 4}[case.engine]
        return [30.0, 1e-3 * milliseconds * (2 if before else 1)]

    monkeypatch.setattr(modules.compared, "start", lambda checkout, _: nullcontext(checkout))
    monkeypatch.setattr(modules.compared, "ask", ask)
    file = tmp_path / "unroll.csv"
    run(modules, monkeypatch, "--against", tmp_path, "--rounds", "2", "--csv", file)

    assert [checkout for checkout, _ in asked[:4]] == 2 * [tmp_path, modules.compared.HERE]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in capsys.readouterr().out.splitlines()
    ]
    assert ["REINFORCE", "yes", *6 * ["8.00 → 4.00 (2.0)"]] in rows
    assert ["RNN", "", "8.00 → 4.00 (2.0)", *5 * [""]] in rows
    assert [modules.cases.OWN, "", *6 * ["→ 4.00"]] in rows
    assert ["loop", "4000 → 2000 (2.0)", "1.0"] in rows and ["fused", "→ 4.00", "500.0"] in rows
    assert ["yes", "20", *2 * ["30.00 → 30.00 (1.0)"]] in rows
    kept = pd.read_csv(file)
    assert len(kept) == len(set(asked)) / 2 + len(list(modules.cases.first_call_cases()))
    assert kept["before"].isna().sum() == 12  # a user's own, compiled


def test_sizes_are_laid_side_by_side_and_drawn(modules, monkeypatch, tmp_path, capsys):
    shape = {"subjects": 2, "trials": 20, "hidden": 32, "device": "cpu"}
    tiny = [
        {"rule": rule, "engine": engine, **shape}
        for rule in modules.script.RULES
        for engine in ENGINES
        if (rule, engine) != ("DNN", "loop")
    ]
    monkeypatch.setattr(modules.script, "cases", lambda *_: tiny)
    monkeypatch.setattr(modules.script, "measure_apart", modules.script.measure)
    figure = tmp_path / "unroll.png"
    run(modules, monkeypatch, "--figure", figure, "--csv", tmp_path / "unroll.csv")
    printed = capsys.readouterr().out
    for column in ("loop (s)", "fused (s)", "parallel, times faster", "parallel (GB)"):
        assert column in printed
    row = next(line for line in printed.splitlines() if line.startswith("| DNN"))
    assert [cell.strip() == "" for cell in row.split("|")[5:8]] == [True, False, False]
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert len(pd.read_csv(tmp_path / "unroll.csv")) == len(tiny)


def test_on_a_gpu_the_loop_is_short_and_the_cpu_has_the_fused_engine(modules):
    cases = list(modules.script.cases(list(ENGINES), "cuda"))
    assert {case["device"] for case in cases if case["engine"] == "fused"} == {"cpu"}
    assert {case["device"] for case in cases if case["engine"] != "fused"} == {"cuda"}
    assert max(case["trials"] for case in cases if case["engine"] == "loop") == 3_000


def test_what_cannot_be_measured_is_refused(modules, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for arguments, fault in (
        (["--device", "cuda"], "--device cuda needs a GPU that torch can use: there is none."),
        (["--device", "cuda", "--parts", "first"], "measure compiled code, which is the CPU's."),
        (["--against", tmp_path], f"--against {tmp_path} is no checkout of sklearn_learnrule."),
    ):
        with pytest.raises(SystemExit):
            run(modules, monkeypatch, *arguments)
        assert fault in capsys.readouterr().err


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("engine", ["loop", "parallel"])
def test_sizes_are_measured_on_a_gpu(modules, engine):
    shape = {"subjects": 2, "trials": 20, "hidden": 8, "device": "cuda"}
    for rule in modules.script.RULES:
        measured = modules.script.measure_apart({"rule": rule, "engine": engine, **shape})
        assert measured["seconds"] > 0 and measured["peak_gb"] >= 0
