"""The controller: an LSTM policy that samples an architecture one decision at a time.

Zoph et al. 2018, appendix A.2: one layer of 100 units, one softmax per decision, and all weights initialised
uniformly in [-0.1, 0.1]. Details that the paper leaves open are ours: the input of a step is a learned
embedding of the previous action, and each choice of each decision has its own embedding; logits are neither
divided by a temperature nor squashed by a tanh.

Shapes: B architectures, T decisions, K the largest number of choices, H hidden units, G = 4 H gates, R rows
of the embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.floating[Any]]
INIT_RANGE = 0.1


@dataclass(frozen=True, slots=True)
class Sample:
    """One sampled architecture."""

    actions: tuple[int, ...]
    """Index of the choice that was made, for each decision."""
    log_probs: tuple[float, ...]
    """Log-probability of each action under the policy, in nats."""


class Controller(nn.Module):
    """An autoregressive policy over a fixed sequence of categorical decisions.

    Args:
        num_choices: number of choices of each decision, in order.
        hidden_units: size of the LSTM's state and of the embeddings.
        generator: source of the initial weights; defaults to torch's global generator.
    """

    def __init__(
        self, num_choices: Sequence[int], *, hidden_units: int = 100, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        num_decisions, widest = len(num_choices), max(num_choices)
        # The modules initialise themselves from torch's global generator before their weights are overwritten
        # below. Forking it keeps a search from changing the random numbers of the program around it.
        with torch.random.fork_rng(devices=[]):
            self.embedding = nn.Embedding(1 + sum(num_choices), hidden_units)
            self.lstm = nn.LSTM(hidden_units, hidden_units, batch_first=True)
        # Each decision has its own head. They are padded to the widest and kept in one tensor, so that
        # log_probs applies all of them in one product.
        self.head_weight_TKH = nn.Parameter(torch.empty(num_decisions, widest, hidden_units))
        self.head_bias_TK = nn.Parameter(torch.empty(num_decisions, widest))
        # Row 0 of the embedding is the start token; the rows of decision t begin at first_row_T[t].
        first_rows = torch.tensor([1, *num_choices]).cumsum(0)[:-1]
        is_choice_TK = torch.arange(widest)[None, :] < torch.tensor(list(num_choices))[:, None]
        self.first_row_T: Tensor
        self.is_choice_TK: Tensor
        # Both follow from num_choices, so a state_dict doesn't hold them.
        self.register_buffer("first_row_T", first_rows, persistent=False)
        self.register_buffer("is_choice_TK", is_choice_TK, persistent=False)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-INIT_RANGE, INIT_RANGE, generator=generator)

    def log_probs(self, actions_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Evaluates given actions under the policy (teacher forcing), with gradient.

        Args:
            actions_BT: index of the choice that was made, for each decision.
        Returns:
            Log-probability of each action (BT), and entropy of each decision's softmax (BT), both in nats.
        """
        # Step t sees the action of step t - 1; the first step sees the start token.
        rows_BT = torch.zeros_like(actions_BT)
        rows_BT[:, 1:] = (self.first_row_T + actions_BT)[:, :-1]
        hidden_BTH, _ = self.lstm(self.embedding(rows_BT))
        # The padding of narrow decisions gets probability 0: the softmax is over the choices that there are.
        logits_BTK = torch.einsum("bth,tkh->btk", hidden_BTH, self.head_weight_TKH) + self.head_bias_TK
        all_log_probs_BTK = logits_BTK.masked_fill(~self.is_choice_TK, -torch.inf).log_softmax(dim=-1)
        # The padding has probability 0 and log-probability -inf, whose product is NaN: it must not enter the
        # sum, nor its gradient.
        finite_BTK = all_log_probs_BTK.masked_fill(~self.is_choice_TK, 0.0)
        entropy_BT = -(all_log_probs_BTK.exp() * finite_BTK).sum(dim=-1)
        return all_log_probs_BTK.gather(-1, actions_BT[..., None])[..., 0], entropy_BT

    def sampler(self) -> Sampler:
        """A copy of the current policy that single architectures are sampled from."""
        return Sampler(self)


class Sampler:
    """A frozen copy of a Controller that samples architectures in NumPy.

    An architecture takes fifty LSTM steps on tiny matrices, which are ten times slower in torch, where
    dispatching costs more than computing. The product of the embedding and the input weights is the same for
    every sample, so it is computed once.
    """

    def __init__(self, controller: Controller) -> None:
        # Copied, because numpy() shares memory with the parameters, which the optimiser changes in place.
        weights = {name: tensor.detach().numpy().copy() for name, tensor in controller.state_dict().items()}
        # torch's LSTM has two biases only because cuDNN has them; nothing but their sum has an effect.
        bias_G = weights["lstm.bias_ih_l0"] + weights["lstm.bias_hh_l0"]
        self.input_gates_RG: Array = weights["embedding.weight"] @ weights["lstm.weight_ih_l0"].T + bias_G
        self.recurrent_GH: Array = weights["lstm.weight_hh_l0"]
        self.first_rows = controller.first_row_T.tolist()
        widths = controller.is_choice_TK.sum(dim=1).tolist()
        self.heads = [
            (weight[:width], bias[:width])
            for weight, bias, width in zip(
                weights["head_weight_TKH"], weights["head_bias_TK"], widths, strict=True
            )
        ]

    def draw(self, rng: np.random.Generator, *, temperature: float = 1.0) -> Sample:
        """Samples one architecture; all randomness comes from `rng`.

        Args:
            temperature: divides the log-probabilities that are sampled from; above 1, unlikely choices become
                more frequent. The recorded log-probabilities are those of the policy itself, without the
                temperature.
        """
        hidden = cell = np.zeros(self.recurrent_GH.shape[1], dtype=np.float32)
        row, actions, log_probs = 0, [], []
        # Inverse transform sampling: one uniform number per decision, found in the cumulative probabilities.
        uniform_T = rng.random(len(self.heads))
        for first_row, (weight_KH, bias_K), uniform in zip(
            self.first_rows, self.heads, uniform_T, strict=True
        ):
            hidden, cell = self._step(row, hidden, cell)
            # From the policy itself: PPO's ratio needs the probabilities of the policy, not those that were
            # sampled from.
            log_probs_K = _log_softmax(weight_KH @ hidden + bias_K)
            cumulative_K = np.cumsum(np.exp(log_probs_K / temperature))
            # With a temperature the numbers don't add up to 1. The random number is scaled to their sum,
            # which saves dividing all of them by it.
            action = int(np.searchsorted(cumulative_K, uniform * cumulative_K[-1], side="right"))
            # Rounding can place the uniform number at the very end, beyond the last choice.
            action = min(action, len(cumulative_K) - 1)
            row = first_row + action
            actions.append(action)
            log_probs.append(_shortest(log_probs_K[action]))
        return Sample(tuple(actions), tuple(log_probs))

    def draw_many(self, rng: np.random.Generator, temperatures_B: Array) -> list[Sample]:
        """Samples one architecture per temperature in a batch, in a fraction of the time of single draws.

        The random numbers are used in another order, so the architectures are not those of repeated `draw`.
        """
        count = len(temperatures_B)
        hidden_BH = cell_BH = np.zeros((count, self.recurrent_GH.shape[1]), dtype=np.float32)
        rows_B, actions, log_probs = np.zeros(count, dtype=np.int64), [], []
        uniform_TB1 = rng.random((len(self.heads), count, 1))
        for first_row, (weight_KH, bias_K), uniform_B1 in zip(
            self.first_rows, self.heads, uniform_TB1, strict=True
        ):
            hidden_BH, cell_BH = self._step(rows_B, hidden_BH, cell_BH)
            log_probs_BK = _log_softmax(hidden_BH @ weight_KH.T + bias_K)
            cumulative_BK = np.exp(log_probs_BK / temperatures_B[:, None]).cumsum(axis=1)
            # Counting the cumulative numbers that are passed is searchsorted with side="right", for all rows
            # at once.
            chosen_B = (cumulative_BK <= uniform_B1 * cumulative_BK[:, -1:]).sum(axis=1)
            chosen_B = np.minimum(chosen_B, len(bias_K) - 1)
            rows_B = first_row + chosen_B
            actions.append(chosen_B)
            log_probs.append(log_probs_BK[np.arange(count), chosen_B])
        return [
            Sample(tuple(map(int, chosen)), tuple(map(_shortest, values)))
            for chosen, values in zip(np.stack(actions, axis=1), np.stack(log_probs, axis=1), strict=True)
        ]

    def _step(self, rows: int | NDArray[np.int64], hidden: Array, cell: Array) -> tuple[Array, Array]:
        """One LSTM step: the next (hidden, cell), for one sequence (H) or a batch (BH)."""
        # torch's order of the gates: input, forget, candidate, output.
        gates = self.input_gates_RG[rows] + hidden @ self.recurrent_GH.T
        size = hidden.shape[-1]
        input_forget = _sigmoid(gates[..., : 2 * size])
        candidate, output = np.tanh(gates[..., 2 * size : 3 * size]), _sigmoid(gates[..., 3 * size :])
        cell = input_forget[..., size:] * cell + input_forget[..., :size] * candidate
        return output * np.tanh(cell), cell


def _sigmoid(x: Array) -> Array:
    positive: Array = 1.0 + np.exp(-x)
    return np.reciprocal(positive)


def _log_softmax(x: Array) -> Array:
    shifted: Array = x - x.max(axis=-1, keepdims=True)
    normaliser: Array = np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted - normaliser


def _shortest(value: np.float32) -> float:
    """The shortest decimal that reads back as this float32, half as long in the journal as a float64."""
    return float(str(value))
