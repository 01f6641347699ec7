"""PsyTrack's part of beside_psytrack.py, in an environment of its own.

python benchmarks/_psytrack_fit.py trials.npz fit.npz

``trials.npz`` has ``y`` (n,), 1 or 2; ``inputs`` (n, K - 1); ``days``, the trials of each session,
none to leave sigDay out; and ``sig_init``. ``fit.npz`` gets the evidence, the weights (K, n), the
bias first, and CPU seconds.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from psytrack import hyperOpt


def main(trials: str, fit: str) -> None:
    given = np.load(trials)
    names = [f"input_{k}" for k in range(given["inputs"].shape[1])]
    weights = dict.fromkeys(["bias", *names], 1)  # PsyTrack sorts them
    data = {
        "y": given["y"],
        "inputs": dict(zip(names, given["inputs"].T[..., None], strict=True)),
        "dayLength": given["days"],
    }
    hyper = {"sigInit": float(given["sig_init"]), "sigma": len(weights) * [2**-4], "sigDay": None}
    fitted = ["sigma"]
    if len(given["days"]):
        hyper["sigDay"] = hyper["sigma"]
        fitted.append("sigDay")
    start = time.process_time()
    _, evidence, path, _ = hyperOpt(data, hyper, weights, fitted)
    np.savez(fit, evidence=evidence, weights=path, seconds=time.process_time() - start)


if __name__ == "__main__":
    main(*sys.argv[1:])
