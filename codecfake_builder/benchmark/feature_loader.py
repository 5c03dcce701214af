"""Load batches of the front end's output, computed once per clip where clips are the same in every epoch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from codecfake_builder.benchmark.clips import Clips
from codecfake_builder.benchmark.models import TracingModel


class FeatureLoader:
    """Loads the features of a split's clips in batches.

    Args:
        model: whose front end computes the features.
        clips: clips of the split.
        device: where the features are computed.
        batch_size: clips at a time.
        workers: processes that read and decode clips; 0 for this process itself.
        cache_gb: memory in GB for keeping features; those of a split that needs more are computed every time.
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
        self.cache: dict[int, Tensor] = {}
        self.keeps_features = (
            cache_gb > 0 and clips.same_every_epoch and not model.depends_on_batch and self._fits(cache_gb)
        )

    @torch.no_grad()
    def _fits(self, cache_gb: float) -> bool:
        one = self.model.features(torch.zeros(1, self.clips.samples, device=self.device))
        return one.nelement() * one.element_size() * len(self.clips) <= cache_gb * 1e9

    def batches(self, order: list[int]) -> Iterator[tuple[list[int], Tensor]]:
        """Yield the rows of each batch with their features on the device, in the given order.

        A last batch of a single clip is joined to the batch before it.
        """
        groups = [order[at : at + self.batch_size] for at in range(0, len(order), self.batch_size)]
        if len(groups) > 1 and len(groups[-1]) == 1:  # batch norm cannot be trained on one clip
            groups[-2] += groups.pop()
        if self.keeps_features and all(row in self.cache for row in order):
            for group in groups:
                yield group, torch.stack([self.cache[row] for row in group]).to(self.device)
            return
        loader = torch.utils.data.DataLoader(
            self.clips,
            batch_sampler=groups,
            num_workers=self.workers,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # its own, so that reading clips does not change the random numbers of dropout
        )
        for group, batch in zip(groups, loader, strict=True):
            with torch.no_grad():
                features = self.model.features(batch.wave.to(self.device, non_blocking=True))
            if self.keeps_features:
                self.cache.update(zip(group, features.cpu(), strict=True))
            yield group, features
