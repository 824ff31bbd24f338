"""Normalization of images (B, C, H, W) whose statistics scale cleanly with the number of channels."""

from __future__ import annotations

from torch import nn

from similitude.models.dials import ModelError, check_divides


def image_norm(model: str, kind: str | None, channels: int, channels_per_group: int) -> nn.Module:
    """Return the normalization layer of `channels` feature maps.

    Args:
        model: Name of the network, for messages.
        kind: "batch" for statistics over the batch, "layer" for one group of all channels, "group" for groups
            of `channels_per_group` channels (the statistics of one group then do not change with width), None
            for none.
        channels: Feature maps.
        channels_per_group: Size of a group where `kind` is "group".

    Raises:
        ModelError: The kind is unknown, or the groups do not divide the channels.
    """
    if kind is None:
        return nn.Identity()
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "layer":
        return nn.GroupNorm(1, channels)
    if kind == "group":
        check_divides(model, "width", channels, "channels_per_group", channels_per_group, "groups")
        return nn.GroupNorm(channels // channels_per_group, channels)
    raise ModelError(
        f"{model}(norm={kind!r}): not one of 'batch', 'layer', 'group' or None. Pass one of these."
    )
