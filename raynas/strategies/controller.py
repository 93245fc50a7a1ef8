"""The controller: an LSTM that draws an architecture decision by decision.

Zoph et al. 2018, A.2: one layer of 100 units, one softmax per decision, every weight drawn from [-0.1, 0.1].
What the paper leaves open, and is ours: the input of a step is a learned embedding of the decision just made,
with its own embedding for each choice of each decision; there is no temperature and no tanh on the logits.

Shapes: B architectures, T decisions, K the largest number of choices, H hidden units, G = 4 H gates, R
embeddings.
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
    """One drawn architecture, with the natural log-probability of each decision."""

    actions: tuple[int, ...]
    log_probs: tuple[float, ...]


class Controller(nn.Module):
    """A policy over sequences of categorical decisions.

    Args:
        num_choices: choices of each decision, in order.
    """

    def __init__(
        self, num_choices: Sequence[int], *, hidden_units: int = 100, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        num_decisions, widest = len(num_choices), max(num_choices)
        # They draw initial weights from torch's global generator, which is not ours to move.
        with torch.random.fork_rng(devices=[]):
            self.embedding = nn.Embedding(1 + sum(num_choices), hidden_units)
            self.lstm = nn.LSTM(hidden_units, hidden_units, batch_first=True)
        self.head_weight_TKH = nn.Parameter(torch.empty(num_decisions, widest, hidden_units))
        self.head_bias_TK = nn.Parameter(torch.empty(num_decisions, widest))
        # Row 0 of the embedding starts a sequence; the rows of decision t begin at first_row_T[t].
        first_rows = torch.tensor([1, *num_choices]).cumsum(0)[:-1]
        is_choice_TK = torch.arange(widest)[None, :] < torch.tensor(list(num_choices))[:, None]
        self.first_row_T: Tensor
        self.is_choice_TK: Tensor
        self.register_buffer("first_row_T", first_rows, persistent=False)
        self.register_buffer("is_choice_TK", is_choice_TK, persistent=False)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-INIT_RANGE, INIT_RANGE, generator=generator)

    def log_probs(self, actions_BT: Tensor) -> tuple[Tensor, Tensor]:
        """(log-probability of each action BT, entropy of each decision's softmax BT), in nats, with
        gradient.
        """
        rows_BT = torch.zeros_like(actions_BT)
        rows_BT[:, 1:] = (self.first_row_T + actions_BT)[:, :-1]
        hidden_BTH, _ = self.lstm(self.embedding(rows_BT))
        logits_BTK = torch.einsum("bth,tkh->btk", hidden_BTH, self.head_weight_TKH) + self.head_bias_TK
        all_log_probs_BTK = logits_BTK.masked_fill(~self.is_choice_TK, -torch.inf).log_softmax(dim=-1)
        # 0 * -inf is NaN: what is no choice must not enter the sum.
        finite_BTK = all_log_probs_BTK.masked_fill(~self.is_choice_TK, 0.0)
        entropy_BT = -(all_log_probs_BTK.exp() * finite_BTK).sum(dim=-1)
        return all_log_probs_BTK.gather(-1, actions_BT[..., None])[..., 0], entropy_BT

    def sampler(self) -> Sampler:
        """The policy as it is now, ready to draw from."""
        return Sampler(self)


class Sampler:
    """A frozen copy of a Controller that draws single architectures, in NumPy.

    Fifty small steps cost ten times as much through torch's dispatcher. The product of embeddings and input
    weights is the same for every draw, so it is made once.
    """

    def __init__(self, controller: Controller) -> None:
        weights = {name: tensor.detach().numpy().copy() for name, tensor in controller.state_dict().items()}
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
        """One architecture; all randomness from `rng`.

        Args:
            temperature: divides the logits of what is drawn from, while the log-probabilities that are
                recorded are the policy's own; above 1 less likely choices come more often.
        """
        hidden = cell = np.zeros(self.recurrent_GH.shape[1], dtype=np.float32)
        row, actions, log_probs = 0, [], []
        uniform_T = rng.random(len(self.heads))
        for first_row, (weight_KH, bias_K), uniform in zip(
            self.first_rows, self.heads, uniform_T, strict=True
        ):
            hidden, cell = self._step(row, hidden, cell)
            log_probs_K = _log_softmax(weight_KH @ hidden + bias_K)
            cumulative_K = np.cumsum(np.exp(log_probs_K / temperature))
            action = int(np.searchsorted(cumulative_K, uniform * cumulative_K[-1], side="right"))
            action = min(action, len(cumulative_K) - 1)
            row = first_row + action
            actions.append(action)
            log_probs.append(_shortest(log_probs_K[action]))
        return Sample(tuple(actions), tuple(log_probs))

    def draw_many(self, rng: np.random.Generator, temperatures_B: Array) -> list[Sample]:
        """One architecture for each temperature, at once: a fraction of the time, and others than `draw`
        gives.
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
        """The next (hidden, cell), of one sequence (H) or of several (BH)."""
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
    """The shortest decimal that is this float32 again: half as long in the journal."""
    return float(str(value))
