"""Batches of the fixed front end's output, computed once where clips are the same every time."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from codecfake_builder.benchmark.clips import Clips
from codecfake_builder.benchmark.models import TracingModel


class FeatureSource:
    """The features of a split's clips.

    Args:
        workers: processes that read and decode clips.
        cache_gb: memory for features; a split that does not fit is computed anew every time.
    """

    def __init__(
        self,
        model: TracingModel,
        clips: Clips,
        device: torch.device,
        batch_size: int,
        workers: int = 0,
        cache_gb: float = 0.0,
    ) -> None:
        self.model, self.clips, self.device = model, clips, device
        self.batch_size, self.workers = batch_size, workers
        self.kept: dict[int, Tensor] = {}
        self.keeps = cache_gb > 0 and clips.always_the_same and not model.looks_at_batch and self._fits(cache_gb)

    @torch.no_grad()
    def _fits(self, cache_gb: float) -> bool:
        one = self.model.features(torch.zeros(1, self.clips.samples, device=self.device))
        return one.nelement() * one.element_size() * len(self.clips) <= cache_gb * 1e9

    def batches(self, order: list[int]) -> Iterator[tuple[list[int], Tensor]]:
        """Rows and their features on the device; a clip that would be alone at the end goes with the batch before."""
        groups = [order[at : at + self.batch_size] for at in range(0, len(order), self.batch_size)]
        if len(groups) > 1 and len(groups[-1]) == 1:  # batch norm cannot learn from one clip
            groups[-2] += groups.pop()
        if self.keeps and all(row in self.kept for row in order):
            for group in groups:
                yield group, torch.stack([self.kept[row] for row in group]).to(self.device)
            return
        loader = torch.utils.data.DataLoader(
            self.clips,
            batch_sampler=groups,
            num_workers=self.workers,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # its own, so that reading clips leaves the random numbers of dropout alone
        )
        for group, batch in zip(groups, loader, strict=True):
            with torch.no_grad():
                features = self.model.features(batch.wave.to(self.device, non_blocking=True))
            if self.keeps:
                self.kept.update(zip(group, features.cpu(), strict=True))
            yield group, features
