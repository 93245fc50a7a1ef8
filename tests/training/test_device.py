"""Number formats, and what `reproducible` gives back."""

from __future__ import annotations

import pytest
import torch

from raynas.training.device import Placement, autocast_type, reproducible


@pytest.fixture
def hardware(monkeypatch):
    """Says which kinds of bfloat16 the machine has."""

    def pretend(*, avx512: bool = False, amx: bool = False, cuda: bool = False) -> None:
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
        # Emulation is always there, and must not count.
        monkeypatch.setattr(
            torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or cuda
        )

    return pretend


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1"])
def test_what_is_asked_for_is_used(device, hardware):
    hardware(avx512=True, amx=True, cuda=True)
    assert autocast_type("float32", device) is None
    hardware()
    assert autocast_type("bfloat16", device) is torch.bfloat16


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1"])
def test_emulated_bfloat16_is_never_chosen(device, hardware):
    hardware()
    assert autocast_type("auto", device) is None


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_bfloat16_of_a_gpu_is_chosen(device, hardware):
    hardware(cuda=True)
    assert autocast_type("auto", device) is torch.bfloat16


@pytest.mark.parametrize("kind", ["avx512", "amx"])
def test_on_a_cpu_float32_is_chosen_as_it_is_faster(kind, hardware):
    hardware(**{kind: True})
    assert autocast_type("auto", "cpu") is None


@pytest.mark.parametrize("kind", ["avx512", "amx"])
def test_bfloat16_of_the_cpu_says_nothing_about_the_gpu(kind, hardware):
    hardware(**{kind: True})
    assert autocast_type("auto", "cuda") is None


def test_callers_threads_and_random_state_come_back():
    before = torch.get_rng_state(), torch.get_num_threads()
    with reproducible(7, Placement(num_threads=before[1] + 1)):
        assert torch.get_num_threads() == before[1] + 1
        torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]


def test_they_come_back_after_an_exception():
    before = torch.get_rng_state(), torch.get_num_threads()
    with pytest.raises(RuntimeError, match="child"), reproducible(7, Placement(num_threads=before[1] + 1)):
        raise RuntimeError("child")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]


def test_seed_fixes_the_draws():
    draws = []
    for seed in (7, 7, 8):
        with reproducible(seed, Placement()):
            draws.append(torch.rand(3))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_algorithms_of_a_cpu_are_left_as_they_are():
    before = torch.are_deterministic_algorithms_enabled()
    with reproducible(0, Placement()):
        assert torch.are_deterministic_algorithms_enabled() == before


def test_single_rank_is_its_own_total():
    value = torch.tensor([1.0, 2.0])
    assert Placement().total(value) is value
    assert Placement().agree(True) and not Placement().agree(False)
