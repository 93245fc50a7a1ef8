"""Downloads published weights from the hub that timm uses; needs timm and an Internet connection."""

from __future__ import annotations

import contextlib
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
from torch import Tensor

from raynas.errors import WeightsError
from raynas.models.torchvision_import import load_torchvision

HUB_FILE = "model.safetensors"
SECONDS_TO_REACH_HUB = 10.0
TIMM_NETWORKS = {"nasnet_a_large": "nasnetalarge", "pnasnet5_large": "pnasnet5large"}
"""Names of published networks in timm, by their name in raynas."""


def fetch_from_timm(tag: str, network: str) -> Mapping[str, Tensor]:
    """The state dict of a published network, with timm's parameter names.

    Args:
        tag: which of timm's weights, such as 'tf_in1k'; or timm's whole name, such as 'nasnetalarge.tf_in1k'.
        network: name of the published network, for a tag alone.
    Raises:
        WeightsError: timm is not installed, has no such network or tag, or can't reach its hub.
    """
    timm_network = TIMM_NETWORKS.get(network)
    first, _, rest = tag.partition(".")
    if first in TIMM_NETWORKS.values():
        timm_network, tag = first, rest
    if timm_network is None:
        raise WeightsError(
            f"timm has no weights for {network}, only for {', '.join(TIMM_NETWORKS)}, which are in timm "
            f"{' and '.join(TIMM_NETWORKS.values())}: give timm:{next(iter(TIMM_NETWORKS.values()))}.TAG for "
            "them by name, a file of weights, or none."
        )
    try:
        # timm imports it, and can't where PyTorch has no CUDA.
        load_torchvision()
        import timm
    except ImportError as error:
        raise WeightsError(
            f"weights='timm:{tag}' needs timm, which can't be imported: {error}. Run: pip install timm"
        ) from error
    known = timm.list_pretrained(f"{timm_network}.*")
    name = f"{timm_network}.{tag}" if tag else known[0]
    if name not in known:
        tags = ", ".join(word.partition(".")[2] for word in known)
        raise WeightsError(f"timm has no weights {name!r}. Known tags: {tags}.")
    repository = timm.get_pretrained_cfg(name).hf_hub_id
    return safetensors.torch.load_file(_in_cache(repository, name))


def _in_cache(repository: str, name: str) -> Path:
    """The file of weights, downloaded unless it is in the cache."""
    import huggingface_hub

    cached = huggingface_hub.try_to_load_from_cache(repository, HUB_FILE)
    if isinstance(cached, str):
        return Path(cached)
    try:
        # Without a connection the hub's own client keeps trying for a minute.
        _reach(huggingface_hub.constants.ENDPOINT)
        return Path(huggingface_hub.hf_hub_download(repository, HUB_FILE))
    except (OSError, huggingface_hub.errors.HfHubHTTPError) as error:
        raise WeightsError(
            f"The weights {name!r} could not be fetched from {huggingface_hub.constants.ENDPOINT}: "
            f"{str(error).partition(chr(10))[0]}. Without a connection, give a file: "
            "weights='FILE.safetensors'."
        ) from error


def _reach(address: str) -> None:
    """OSError unless the server answers, with whatever status."""
    with contextlib.suppress(urllib.error.HTTPError):
        urllib.request.urlopen(address, timeout=SECONDS_TO_REACH_HUB).close()
