from __future__ import annotations

import numpy as np
import pytest

from archive.embedders.slim import slimmed

MEAN, DEVIATION = np.array([0.48, 0.46, 0.41]), np.array([0.27, 0.26, 0.28])


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"pool_type": "avg"},
        {"pool_type": "avg", "final_ln_after_pool": True},
        {"ls_init_value": 0.1},
        {"attentional_pool": True, "attn_pooler_heads": 2},
        {"no_ln_pre": True, "block_type": "custom"},
    ],
)
def test_a_slimmed_tower_gives_the_rows_of_the_whole_one(settings: dict[str, object]) -> None:
    import torch
    from open_clip.transformer import VisionTransformer

    shape = {"image_size": 32, "patch_size": 8, "width": 64, "layers": 2, "heads": 2, "mlp_ratio": 4.0}
    pictures = np.random.default_rng(3).integers(0, 256, (3, 32, 32, 3), np.uint8)
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(1)
        tower = VisionTransformer(**shape, output_dim=48, **settings).eval()
        prepared = torch.from_numpy((pictures / 255 - MEAN) / DEVIATION).float().permute(0, 3, 1, 2)
        whole = tower(prepared).numpy()
        slim = slimmed(tower, MEAN, DEVIATION)(torch.from_numpy(pictures)).numpy()
    np.testing.assert_allclose(slim, whole, atol=1e-4)


def test_only_the_token_that_is_read_goes_through_the_end_of_the_last_block() -> None:
    import torch
    from open_clip.transformer import VisionTransformer

    tower = VisionTransformer(image_size=32, patch_size=8, width=64, layers=2, heads=2, mlp_ratio=4.0).eval()
    slim = slimmed(tower, MEAN, DEVIATION)
    tokens = torch.zeros(2, 17, 64)
    assert tower.transformer.resblocks[0](tokens).shape == (2, 17, 64)
    assert tower.transformer.resblocks[1](tokens).shape == (2, 1, 64)
    assert slim(torch.zeros(2, 32, 32, 3, dtype=torch.uint8)).shape == (2, 512)
