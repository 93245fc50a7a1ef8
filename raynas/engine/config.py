"""Settings of the engine. Pure: a config can be read where Ray is not installed."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from raynas.config import FrozenModel


class WorkerConfig(FrozenModel):
    """The pool of workers that trains children."""

    count: int | Literal["auto"] = "auto"
    """Number of workers over all nodes. 'auto' means as many as the cluster's GPUs hold, or its CPUs where it
    has no GPU. If fewer fit, fewer start, and the others follow as nodes join.
    """
    cpus: float = Field(1, gt=0)
    """CPUs per worker, and its number of threads."""
    gpus: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"
    """GPUs per worker. A fraction puts several workers on one GPU, each limited to its share of the memory.
    'auto' means 1 where the cluster has GPUs, else 0.
    """
    per_child: int = Field(1, ge=1)
    """Number of workers that train one child together, each on its share of every batch."""
    max_attempts: int = Field(3, ge=1)
    """Number of workers that may die while they train a child; then the child has failed."""
    time_limit_seconds: float | None = Field(None, gt=0)
    """Time limit of one attempt at a child, which is then stopped and has failed. None means no limit."""
    grace_seconds: float = Field(60, gt=0)
    """Time after the limit in which a child must reach the end of a step or of a validation. If it does not,
    it hangs, and its worker is killed and replaced.
    """
    checkpoint_epochs: int = Field(0, ge=0)
    """Number of epochs after which a child's state is saved, so that it continues from there if its worker
    dies. 0 saves nothing: the child starts over. Useful where an epoch takes minutes.
    """
    wait_seconds: float = Field(600, ge=0)
    """Time to wait for a node to join after the last one with room for a worker was lost."""


class TrainWorkerConfig(FrozenModel):
    """The workers that train one network together, each with the whole network and a share of every batch."""

    count: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Number of workers over all nodes. 'auto' means as many as the cluster's GPUs hold, or one where it has
    no GPU.
    """
    nodes: int | None = Field(None, ge=1)
    """Number of nodes to train on, instead of `count`: as many workers as their GPUs hold, or one on each
    node where the cluster has no GPU.
    """
    at_least: int | None = Field(None, ge=1)
    """Number of workers with which training starts, and continues after a node was lost; the others join when
    there is room. A batch size that they can't divide is rounded down. None means that training waits for
    all.
    """
    cpus: float = Field(1, gt=0)
    """CPUs per worker, for its network and for decoding images."""
    gpus: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"
    """GPUs per worker. 'auto' means 1 where the cluster has GPUs, else 0."""
    max_failures: int = Field(10, ge=0)
    """How often training may continue from its last checkpoint after workers or nodes were lost."""

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
    """Early stopping of children by a scheduler of Ray Tune."""

    name: Literal["none", "asha", "median"] = "none"
    """'asha' stops the worse children at rungs of epochs (Li et al. 2018, arXiv 1810.05934); 'median' stops
    a child whose best accuracy is below the median of the others' means (Golovin et al. 2017, section 3.2.1).
    """
    grace_epochs: int = Field(1, ge=1)
    """Number of epochs before which no child is stopped."""
    reduction_factor: float = Field(3, gt=1)
    """'asha' only: one child in this many continues beyond each rung."""
    min_children: int = Field(5, ge=1)
    """'median' only: number of other children that must have reported an epoch before one is stopped there.
    """
