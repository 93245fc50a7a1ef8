"""What a user may set about the engine. Pure: a config can be read where Ray is not installed."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from raynas.config import FrozenModel


class WorkerConfig(FrozenModel):
    """The pool that trains children."""

    count: int | Literal["auto"] = "auto"
    """Workers in all; 'auto': as many as the cluster's GPUs hold, or its CPUs where it has no GPU. Where
    fewer fit, fewer start, and more as nodes join.
    """
    cpus: float = Field(1, gt=0)
    """CPUs of a worker, and its number of threads."""
    gpus: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"
    """GPUs of a worker; a fraction packs several on one card, each kept to its share of the memory. 'auto':
    1 where the cluster has GPUs, else 0.
    """
    per_child: int = Field(1, ge=1)
    """Workers that train one child together, each on its share of every batch."""
    max_attempts: int = Field(3, ge=1)
    """A child whose worker dies this often is failed."""
    time_limit_seconds: float | None = Field(None, gt=0)
    """For one attempt at a child; one that takes longer is stopped and failed. None: any time."""
    grace_seconds: float = Field(60, gt=0)
    """What a child may take beyond its time limit to come to the end of a step or a validation; one that
    takes longer hangs, and its worker is killed and replaced.
    """
    checkpoint_epochs: int = Field(0, ge=0)
    """A child is kept after every so many epochs, and goes on there if its worker dies; 0: it begins anew.
    Worth it where an epoch takes minutes.
    """
    wait_seconds: float = Field(600, ge=0)
    """For a node to join, when the last one with room for a worker has been lost."""


class TrainWorkerConfig(FrozenModel):
    """The processes that train together, each with the whole network and a share of every batch."""

    count: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """In all, over all nodes; 'auto': as many as the cluster's GPUs hold, or one where it has no GPU."""
    nodes: int | None = Field(None, ge=1)
    """Instead of `count`: as many workers as the GPUs of so many nodes hold, or one on each where the cluster
    has no GPU.
    """
    at_least: int | None = Field(None, ge=1)
    """After a lost node, or until enough nodes are there, so many workers train; more join as they come. A
    batch that can't be divided is then rounded down. None: training waits for all.
    """
    cpus: float = Field(1, gt=0)
    """CPUs of a worker, for its network and its decoding."""
    gpus: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"
    """GPUs of a worker; 'auto': 1 where the cluster has GPUs, else 0."""
    max_failures: int = Field(10, ge=0)
    """How often training goes on from its last checkpoint after workers or nodes were lost."""

    @model_validator(mode="after")
    def _check_counts(self) -> Self:
        if self.nodes is not None and self.count != "auto":
            raise ValueError(
                f"workers.nodes = {self.nodes} and workers.count = {self.count}: both say how many workers "
                "train. Give one of them"
            )
        if self.at_least is not None and self.count != "auto" and self.at_least > self.count:
            raise ValueError(
                f"workers.at_least = {self.at_least} is more than workers.count = {self.count}. Give at most "
                "that."
            )
        return self


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
