"""Where a child trains: device, ranks, CPU threads and number format."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, distributed

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True, slots=True)
class Placement:
    """One rank's place. With num_ranks > 1 torch.distributed must be initialised."""

    device: str = "cpu"
    num_threads: int = 1
    rank: int = 0
    num_ranks: int = 1

    def total(self, value: Tensor) -> Tensor:
        """Sum of `value` over the ranks, on each of them; changes `value`."""
        if self.num_ranks > 1:
            distributed.all_reduce(value)
        return value

    def share(self, values: Iterable[Tensor]) -> None:
        """Rank 0's `values`, on every rank, in place: batch norm's statistics differ between ranks."""
        if self.num_ranks > 1:
            for value in values:
                distributed.broadcast(value, src=0)

    def agree(self, number: int) -> int:
        """Rank 0's `number`, on every rank, so that all do the same at the same step."""
        if self.num_ranks == 1:
            return number
        shared = torch.tensor([number], device=self.device)
        distributed.broadcast(shared, src=0)
        return int(shared.item())


def is_out_of_memory(error: Exception) -> bool:
    """Whether torch could not allocate, on a GPU or on the host."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)


def autocast_type(precision: Precision, device: str) -> torch.dtype | None:
    """The type to compute in, or None for plain float32; 'auto' is bfloat16 where the hardware has it.

    Emulated bfloat16 on a CPU is ten times slower than float32 for these cells, so it is never chosen.
    """
    if precision == "float32":
        return None
    if precision == "bfloat16":
        return torch.bfloat16
    if torch.device(device).type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    return (
        torch.bfloat16
        if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        else None
    )


@contextlib.contextmanager
def reproducible(seed: int, placement: Placement) -> Iterator[None]:
    """Seeds torch and pins threads and algorithms for the block; what the caller had comes back after it."""
    is_cuda = torch.device(placement.device).type == "cuda"
    threads = torch.get_num_threads()
    torch.set_num_threads(placement.num_threads)
    try:
        with (
            _deterministic() if is_cuda else contextlib.nullcontext(),
            torch.random.fork_rng(devices=[placement.device] if is_cuda else []),
        ):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


@contextlib.contextmanager
def _deterministic() -> Iterator[None]:
    """CUDA kernels that give the same bits each time, where there are any; on a CPU all used here do."""
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn_only)
