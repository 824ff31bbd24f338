"""Numbers of tensors: of plain and empty ones here, of sharded ones on one process; on two in tests/integrations."""

from __future__ import annotations

import pytest
import torch

from similitude.core.errors import PlanError
from similitude.scaling.sharded import largest, layout_of, local_part, over_processes


def test_a_plain_tensor_is_its_own_part():
    values = torch.tensor([[1.0, 3.0], [2.0, 0.5]])
    assert layout_of(values) is None
    assert local_part(values) is values
    assert float(largest(values)) == 3.0
    assert float(largest(torch.zeros(0, 4))) == 0.0
    assert over_processes(values, None, how="sum") is values


def test_a_sharded_tensor_on_one_process(tmp_path):
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import DTensor, Partial, Shard, distribute_tensor

    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'meet'}", rank=0, world_size=1)
    try:
        mesh = init_device_mesh("cpu", (1,))
        values = distribute_tensor(torch.tensor([1.0, 3.0]), mesh, [Shard(0)])
        layout = layout_of(values)
        assert layout is not None
        assert float(largest(values)) == 3.0
        local_part(values).mul_(2.0)  # the same memory
        assert values.full_tensor().tolist() == [2.0, 6.0]
        assert float(over_processes(local_part(values).sum(), layout, how="sum")) == 8.0
        partial = DTensor.from_local(torch.ones(2), mesh, [Partial()])
        with pytest.raises(
            PlanError, match=r"a tensor of shape \(2,\) is a sum over processes that was not taken yet"
        ):
            layout_of(partial)
    finally:
        dist.destroy_process_group()
