"""Graph attention and pooling of AASIST.

Source: Jung et al., "AASIST", arXiv 2110.01200 (sections 2.2 to 2.4); code clovaai/aasist. Names of the parameters are
those of the released checkpoints. Node sets are ``[batch, nodes, dimensions]``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

INPUT_DROPOUT = 0.2
POOL_DROPOUT = 0.3


def _attention_vector(dimensions: int) -> nn.Parameter:
    return nn.Parameter(nn.init.xavier_normal_(torch.empty(dimensions, 1)))


def _normalised(norm: nn.BatchNorm1d, nodes: Tensor) -> Tensor:
    """Apply batch norm over all nodes of the batch."""
    return norm(nodes.flatten(0, 1)).view_as(nodes)


class GraphAttention(nn.Module):
    """Attention among the nodes of one set; a pair's score is computed from its element-wise product."""

    def __init__(self, inputs: int, outputs: int, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.input_drop = nn.Dropout(INPUT_DROPOUT)
        self.att_proj = nn.Linear(inputs, outputs)
        self.att_weight = _attention_vector(outputs)
        self.proj_with_att = nn.Linear(inputs, outputs)
        self.proj_without_att = nn.Linear(inputs, outputs)
        self.bn = nn.BatchNorm1d(outputs)

    def forward(self, nodes: Tensor) -> Tensor:
        """``[batch, nodes, inputs]`` -> ``[batch, nodes, outputs]``."""
        x = self.input_drop(nodes)
        pairs = torch.tanh(self.att_proj(x[:, :, None] * x[:, None]))
        attention = ((pairs @ self.att_weight)[..., 0] / self.temperature).softmax(dim=-1)
        return F.selu(_normalised(self.bn, self.proj_with_att(attention @ x) + self.proj_without_att(x)))


class HeterogeneousAttention(nn.Module):
    """Attention among the nodes of two sets, and of a master node to all of these nodes."""

    def __init__(self, inputs: int, outputs: int, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.input_drop = nn.Dropout(INPUT_DROPOUT)
        self.proj_type1 = nn.Linear(inputs, inputs)
        self.proj_type2 = nn.Linear(inputs, inputs)
        self.att_proj = nn.Linear(inputs, outputs)
        self.att_projM = nn.Linear(inputs, outputs)
        self.att_weight11 = _attention_vector(outputs)
        self.att_weight22 = _attention_vector(outputs)
        self.att_weight12 = _attention_vector(outputs)
        self.att_weightM = _attention_vector(outputs)
        self.proj_with_att = nn.Linear(inputs, outputs)
        self.proj_without_att = nn.Linear(inputs, outputs)
        self.proj_with_attM = nn.Linear(inputs, outputs)
        self.proj_without_attM = nn.Linear(inputs, outputs)
        self.bn = nn.BatchNorm1d(outputs)

    def forward(self, first: Tensor, second: Tensor, master: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the updated node sets and master node ``[batch, nodes, outputs]``.

        Args:
            first: ``[batch, nodes, inputs]``.
            second: ``[batch, nodes, inputs]``, with a number of nodes of its own.
            master: ``[batch or 1, 1, inputs]``.
        """
        count = first.shape[1]
        x = self.input_drop(torch.cat([self.proj_type1(first), self.proj_type2(second)], dim=1))
        new_master = self._update_master(x, master)
        x = self.proj_with_att(self._attention(x, count) @ x) + self.proj_without_att(x)
        x = F.selu(_normalised(self.bn, x))
        return x[:, :count], x[:, count:], new_master

    def _attention(self, x: Tensor, count: int) -> Tensor:
        """Return attention weights ``[batch, nodes, nodes]``; which vector scores a pair depends on its nodes' sets."""
        pairs = torch.tanh(self.att_proj(x[:, :, None] * x[:, None]))
        weights = torch.cat([self.att_weight11, self.att_weight22, self.att_weight12], dim=1)
        inside_first, inside_second, mixed = (pairs @ weights).unbind(dim=-1)
        in_first = torch.arange(x.shape[1], device=x.device) < count
        both, neither = in_first[:, None] & in_first, ~in_first[:, None] & ~in_first
        scores = torch.where(both, inside_first, torch.where(neither, inside_second, mixed))
        return (scores / self.temperature).softmax(dim=-1)

    def _update_master(self, x: Tensor, master: Tensor) -> Tensor:
        scores = torch.tanh(self.att_projM(x * master)) @ self.att_weightM
        attention = (scores / self.temperature).softmax(dim=1).transpose(1, 2)
        return self.proj_with_attM(attention @ x) + self.proj_without_attM(master)


class GraphPool(nn.Module):
    """Pooling that keeps the nodes with the largest scores, in descending order, each multiplied by its score.

    The order matters, since AASIST merges its branches node by node.
    """

    def __init__(self, ratio: float, dimensions: int) -> None:
        super().__init__()
        self.ratio = ratio
        self.drop = nn.Dropout(POOL_DROPOUT)
        self.proj = nn.Linear(dimensions, 1)

    def forward(self, nodes: Tensor) -> Tensor:
        """``[batch, nodes, dimensions]`` -> ``[batch, max(int(nodes * ratio), 1), dimensions]``."""
        scores = torch.sigmoid(self.proj(self.drop(nodes)))
        kept = max(int(nodes.shape[1] * self.ratio), 1)
        best = scores.topk(kept, dim=1).indices.expand(-1, -1, nodes.shape[2])
        return (nodes * scores).gather(1, best)
