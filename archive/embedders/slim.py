"""An image tower as its graph computes it: from pixels, and nothing that no row depends on.

The numbers are the tower's own but for rounding. A vision transformer of open_clip loses what its class token does not
need of the last block, and most of the copies between its products; any other tower keeps its inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray


def slimmed(tower: Any, mean: NDArray[Any], deviation: NDArray[Any]) -> torch.nn.Module:  # noqa: ANN401
    """The tower from uint8 (n, side, side, 3) to rows; its blocks are replaced in place.

    `mean` and `deviation` (3,) of each colour, from 0 to 1, are what the tower's preprocessing centres and divides by.
    """
    import torch
    from open_clip.transformer import ResidualAttentionBlock, VisionTransformer

    class FromPixels(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tower = tower

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            rows: torch.Tensor = self.tower(images.permute(0, 3, 1, 2) * scale + offset)
            return rows

    # Colours come first: ONNX Runtime multiplies a plane at a time, but three numbers at a time where they come last.
    scale, offset = (
        torch.tensor(values, dtype=torch.float32)[:, None, None]
        for values in (1 / (255 * deviation), -mean / deviation)
    )

    if isinstance(tower, VisionTransformer) and tower.transformer.batch_first:
        blocks = tower.transformer.resblocks
        reads_one = tower.pool_type == "tok" and tower.attn_pool is None and not tower.output_tokens
        for at, block in enumerate(blocks):
            if type(block) is ResidualAttentionBlock and not hasattr(block, "ln_1_kv"):
                blocks[at] = _block(block, first_only=reads_one and at == len(blocks) - 1)
        tower.conv1 = _patches(tower.conv1)
    return FromPixels().eval()


def _block(block: Any, *, first_only: bool) -> torch.nn.Module:  # noqa: ANN401
    """A transformer block, for all tokens or for the first alone, which still attends to all of them."""
    import torch

    attention = block.attn
    width, heads = attention.embed_dim, attention.num_heads
    weight, bias = attention.in_proj_weight.detach().clone(), attention.in_proj_bias.detach().clone()
    for part in (weight, bias):
        part[:width] *= (width // heads) ** -0.5  # the scale of attention, once and for all

    def linear(rows: slice) -> torch.nn.Linear:
        made = torch.nn.Linear(width, len(bias[rows]))
        made.weight.data, made.bias.data = weight[rows], bias[rows]
        return made

    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = block
            self.query = linear(slice(0, width)) if first_only else None
            self.rest = linear(slice(width if first_only else 0, None))

        def forward(self, tokens: torch.Tensor, attn_mask: None = None) -> torch.Tensor:
            seen = block.ln_1(tokens)
            parts = list(self._by_head(self.rest(seen)))
            if self.query is not None:
                tokens = tokens[:, :1]
                parts = [*self._by_head(self.query(seen[:, :1])), *parts]
            query, key, value = parts
            mixed = (torch.softmax(query @ key.transpose(-1, -2), -1) @ value).transpose(1, 2)
            tokens = tokens + block.ls_1(attention.out_proj(mixed.reshape(-1, tokens.shape[1], width)))
            out: torch.Tensor = tokens + block.ls_2(block.mlp(block.ln_2(tokens)))
            return out

        def _by_head(self, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
            """(n, tokens, parts * width) as (n, heads, tokens, width / heads), once for each part."""
            shape = (-1, rows.shape[1], rows.shape[2] // width, heads, width // heads)
            return rows.reshape(shape).permute(2, 0, 3, 1, 4).unbind(0)

    return Block()


def _patches(convolution: Any) -> torch.nn.Module:  # noqa: ANN401
    """A convolution over patches that do not overlap, as the product that it is: products can have eight bits."""
    import torch

    side = convolution.kernel_size[0]
    weight, bias = convolution.weight.detach(), convolution.bias

    class Patches(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.product = torch.nn.Linear(weight[0].numel(), len(weight), bias=bias is not None)
            self.product.weight.data = weight.flatten(1)
            if bias is not None:
                self.product.bias.data = bias.detach()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            down, across = images.shape[2] // side, images.shape[3] // side
            cells = images.reshape(-1, images.shape[1], down, side, across, side).permute(0, 2, 4, 1, 3, 5)
            rows: torch.Tensor = self.product(cells.reshape(-1, down * across, weight[0].numel()))
            return rows.transpose(1, 2).reshape(-1, len(weight), down, across)

    return Patches()
