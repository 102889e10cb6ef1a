"""What the machine can do at best: the memory bandwidth and the matrix rate that it shows when asked."""

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Machine:
    """name; bandwidth in bytes/s, read and written; matrix rate in FLOP/s, in the dtype that was measured."""

    name: str
    bandwidth: float
    matrix_rate: float


def measured(device: torch.device, dtype: torch.dtype) -> Machine:
    """The machine's own figures: medians of a large copy and of a large matrix product on random data."""
    gpu = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if gpu else f"{platform.machine()}, {torch.get_num_threads()} threads"
    size, width = (1 << 30, 8192) if gpu else (1 << 26, 1024)
    source = torch.empty(size, device=device, dtype=torch.uint8)
    target = torch.empty_like(source)
    a, b = (torch.randn(width, width, device=device, dtype=dtype) for _ in range(2))
    copy = median(lambda: target.copy_(source), device)
    product = median(lambda: a @ b, device)
    return Machine(name, 2 * size / copy, 2 * width**3 / product)


def seconds(call: Callable[[], object], device: torch.device) -> float:
    """Wall time of one call, the GPU's work included."""
    synchronise(device)
    began = time.perf_counter()
    call()
    synchronise(device)
    return time.perf_counter() - began


def median(call: Callable[[], object], device: torch.device, times: int = 5) -> float:
    """Median wall time of `times` calls after one to warm up."""
    seconds(call, device)
    return sorted(seconds(call, device) for _ in range(times))[times // 2]


def synchronise(device: torch.device) -> None:
    """Wait for the GPU, if there is one."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
