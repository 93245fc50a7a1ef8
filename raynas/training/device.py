"""Where a network trains: device, ranks, CPU threads, number format and seeds."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from raynas.training.config import Precision


@dataclass(frozen=True, slots=True)
class Placement:
    """Device and rank of one process. With num_ranks > 1 torch.distributed must be initialised."""

    device: str = "cpu"
    num_threads: int = 1
    rank: int = 0
    num_ranks: int = 1

    def wrap(self, network: nn.Module) -> nn.Module:
        """`network`, wrapped to average gradients over the ranks if there are several."""
        if self.num_ranks == 1:
            return network
        # A cell may ignore one of its inputs, which leaves the cell before it without a gradient.
        return DistributedDataParallel(network, find_unused_parameters=True)

    def total(self, value: Tensor) -> Tensor:
        """Sum of `value` over the ranks, the same on each; changes `value` in place."""
        if self.num_ranks > 1:
            distributed.all_reduce(value)
        return value

    def share(self, values: Iterable[Tensor]) -> None:
        """Copies rank 0's `values` to every rank, in place."""
        if self.num_ranks > 1:
            for value in values:
                distributed.broadcast(value, src=0)

    def gather(self, value: Any) -> list[Any]:
        """The `value` of each rank, in their order, on every rank; any value that can be pickled."""
        values: list[Any] = [value] * self.num_ranks
        if self.num_ranks > 1:
            distributed.all_gather_object(values, value)
        return values

    def agree(self, number: int) -> int:
        """Rank 0's `number`, on every rank, for decisions that all ranks must take at the same step."""
        if self.num_ranks == 1:
            return number
        shared = torch.tensor([number], device=self.device)
        distributed.broadcast(shared, src=0)
        return int(shared.item())


def is_out_of_memory(error: Exception) -> bool:
    """Whether torch or Python could not allocate memory, on a GPU or on the host."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)


def autocast_type(precision: Precision, device: str) -> torch.dtype | None:
    """The type to compute in, or None for float32. 'auto' is bfloat16 on GPUs that have it, float32 on CPUs.

    On CPUs, cells are slower in bfloat16 even where the hardware has it: their convolutions of few channels
    are bound by memory, and autocast adds conversions. Emulated, it is ten times slower.
    """
    if precision == "float32":
        return None
    if precision == "bfloat16":
        return torch.bfloat16
    if torch.device(device).type == "cuda":
        # Emulation doesn't count.
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    return None


def hashed_seed(*numbers: int) -> int:
    """A seed of 60 bits from several numbers, such as a seed, an epoch and a rank; the same in every process.

    Hashed, because sums or products of small numbers would give equal seeds to different combinations.
    """
    text = "/".join(map(str, numbers))
    # 15 hex digits are 60 bits, which every random generator takes as a seed.
    return int(hashlib.sha256(text.encode()).hexdigest()[:15], 16)


@contextlib.contextmanager
def reproducible(seed: int, placement: Placement) -> Iterator[None]:
    """Seeds torch and fixes threads and algorithms for the block; restores the caller's state after it."""
    is_cuda = torch.device(placement.device).type == "cuda"
    # The number of threads changes the order of sums in a product of matrices, and with it the last bits.
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
    """Chooses CUDA kernels that give the same bits each time, where there are any; CPU kernels always do."""
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    # warn_only, because some operations have no deterministic kernel, and a child is worth more than its last
    # bits.
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn_only)
