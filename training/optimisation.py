"""What every stage of training shares: the optimizer, its schedule, the device and its precision."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import nn

from classifier.errors import OptionError


def find_device(name: str | None) -> torch.device:
    """Return the device to train on.

    Parameters
    ----------
    name
        As torch names it, such as `cpu` or `cuda:1`; by default a GPU where there is one, else the CPU.

    Raises
    ------
    OptionError
        If torch does not know the name or cannot use the device.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise OptionError(
            f"--device {name}: torch cannot use it ({str(error).splitlines()[0]}); give cpu, or leave it out"
        ) from error
    return device


def model_device(model: nn.Module) -> torch.device:
    """Return the device that a model's weights are on."""
    return next(model.parameters()).device


def half_precision(device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which matrix products run in bfloat16 where that is faster than float32.

    Parameters
    ----------
    device
        Where the products run.
    """
    if device.type == "cpu":
        # Without hardware support bfloat16 is emulated and slower than float32.
        fast = bool(torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())
    else:
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=fast)


def decayed_optimizer(model: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
    """Return AdamW over a model's weights, with decay on matrices only.

    Parameters
    ----------
    model
        The model; it must be on its device already.
    learning_rate, weight_decay
        AdamW's.
    """
    decayed = [weight for weight in model.parameters() if weight.ndim > 1]
    plain = [weight for weight in model.parameters() if weight.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, fused=True)


def warmup_and_decay(steps: int, warmup_share: float) -> Callable[[int], float]:
    """Return the factor of the learning rate at each step: linear warm-up, then linear decay to 0.

    Parameters
    ----------
    steps
        How many steps there are.
    warmup_share
        Share of them that warms up.
    """
    total = max(1, steps)
    warmup = max(1, round(total * warmup_share))

    def factor(step: int) -> float:
        return min(1.0, (step + 1) / warmup) * max(0.0, (total - step) / total)

    return factor


def take_step(
    loss: torch.Tensor,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> None:
    """Move a model's weights down a loss's gradient, clipped to norm 1, and the schedule one step on.

    Parameters
    ----------
    loss
        The loss of one batch.
    model, optimizer, schedule
        What is trained, and how.
    """
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    schedule.step()
