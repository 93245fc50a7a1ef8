"""What a user may set about the engine. Pure: a config can be read where Ray is not installed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from raynas.config import FrozenModel


class WorkerConfig(FrozenModel):
    """The pool that trains children."""

    count: int | Literal["auto"] = "auto"
    """Workers in all; 'auto': as many as the cluster's GPUs hold, or its CPUs where it has no GPU."""
    cpus: float = Field(1, gt=0)
    """CPUs of a worker, and its number of threads."""
    gpus: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"
    """GPUs of a worker; a fraction packs several on one card. 'auto': 1 where the cluster has GPUs, else
    0.
    """
    per_child: int = Field(1, ge=1)
    """Workers that train one child together, each on its share of every batch."""
    max_attempts: int = Field(3, ge=1)
    """A child whose worker dies this often is failed."""


class SchedulerConfig(FrozenModel):
    """Early stopping of children by a Tune scheduler."""

    name: Literal["none", "asha", "median"] = "none"
    """'asha' stops the worse children at rungs of epochs (Li et al. 2018, arXiv 1810.05934); 'median' stops
    a child whose best accuracy is below the median of the others' means (Golovin et al. 2017, section 3.2.1).
    """
    grace_epochs: int = Field(1, ge=1)
    """No child is stopped before this many epochs."""
    reduction_factor: float = Field(3, gt=1)
    """Of 'asha': one child in this many goes on from each rung."""
    min_children: int = Field(5, ge=1)
    """Of 'median': so many others must have come to an epoch before a child is stopped there."""
