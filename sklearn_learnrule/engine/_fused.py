"""The fused engine: compiled CPU kernels for the built-in rules, forward and backward.

The kernels (``_kernels_*.py``) know arrays only. Here the rules' parameters are packed for
them, by torch operations, so that autograd carries the gradients on to each parameter, and
subjects are spread over threads. numba is imported, and kernels compiled or fetched from
its disk cache, at the first call.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from ..rules import (
    ConstantRule,
    DNNRule,
    LearningRule,
    PredictMaxRule,
    ReinforceRule,
    RewardMaxRule,
    RNNRule,
    Trial,
)
