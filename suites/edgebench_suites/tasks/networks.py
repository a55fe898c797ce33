"""The networks beyond torchvision's classifiers: raw detection heads, plain segmentation, ViT-Tiny, small decoders.

torch is imported where a network is built; each gives tensors only, so that every exporter takes it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

    from torch import Tensor, nn

# Of `byte_llama`; its tensors are called as in a GGUF file.
LLAMA_LAYERS, LLAMA_HEADS, LLAMA_EPSILON, LLAMA_ROTARY_BASE = 4, 4, 1e-5, 10_000.0
# What its files claim: rotary positions have no end of their own.
LLAMA_CONTEXT = 32_768


def llama_width(width_mult: float) -> int:
    """Return how wide `byte_llama` is: whole heads of whole eights."""
    return max(8 * LLAMA_HEADS, round(256 * width_mult / (8 * LLAMA_HEADS)) * 8 * LLAMA_HEADS)


def raw_detector(torchvision: ModuleType, builder: str, num_classes: int) -> nn.Module:
    """Return a torchvision SSD without pre- and postprocessing: (regressions [n, A, 4], logits [n, A, classes]).

    Parameters keep torchvision's names. `anchors(size)` gives the boxes [A, 4] in pixels that regressions refer to.
    """
    import torch
    from torch import nn

    class RawDetector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.full = [full]  # in a list: torchvision's own model holds the same parameters and is no part of this
            self.backbone, self.head = full.backbone, full.head

        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            heads = self.head(list(self.backbone(images).values()))
            return heads["bbox_regression"], heads["cls_logits"]

        def anchors(self, size: int) -> Tensor:
            from torchvision.models.detection.image_list import ImageList

            images = torch.zeros(1, 3, size, size)
            with torch.inference_mode():
                maps = list(self.eval().backbone(images).values())
                found: Tensor = full.anchor_generator(ImageList(images, [(size, size)]), maps)[0]
            return found.clone()

    full: Any = torchvision.models.get_model(builder, weights=None, weights_backbone=None, num_classes=num_classes)
    return RawDetector()


def plain_segmenter(torchvision: ModuleType, builder: str, num_classes: int) -> nn.Module:
    """Return a torchvision segmenter that gives logits [n, classes, H, W] as a tensor; parameters keep their names."""
    from torch import nn
    from torch.nn import functional

    full: Any = torchvision.models.get_model(builder, weights=None, weights_backbone=None, num_classes=num_classes)

    class PlainSegmenter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone, self.classifier = full.backbone, full.classifier

        def forward(self, images: Tensor) -> Tensor:
            small = self.classifier(self.backbone(images))
            return functional.interpolate(small, size=images.shape[-2:], mode="bilinear", align_corners=False)

    return PlainSegmenter()


def vit_tiny(torchvision: ModuleType, num_classes: int) -> nn.Module:
    """Return torchvision's VisionTransformer of ViT-Tiny's size (192 wide, 12 layers, 3 heads, patches of 16).

    Attention is torchvision's arithmetic in two linear layers, which quantisers see and exporters leave free in length;
    the parameters are as many. The position embedding (of 14 x 14 patches) is interpolated to the image's patches, so
    that it trains on small images and is measured on large ones, as convolutional networks are (arXiv:2010.11929, 3.2).
    """
    import torch
    from torch import nn
    from torch.nn import functional

    heads, wide = 3, 192

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.out = nn.Linear(wide, 3 * wide), nn.Linear(wide, wide)
            nn.init.xavier_uniform_(self.qkv.weight)
            nn.init.zeros_(self.qkv.bias)
            nn.init.zeros_(self.out.bias)

        def forward(self, query: Tensor, *_: Tensor, **__: Any) -> tuple[Tensor, None]:
            count, length = query.shape[0], query.shape[1]
            split = self.qkv(query).reshape(count, length, 3, heads, wide // heads).permute(2, 0, 3, 1, 4)
            scores = split[0] @ split[1].transpose(-1, -2) * (wide // heads) ** -0.5
            mixed = (scores.softmax(dim=-1) @ split[2]).transpose(1, 2).reshape(count, length, wide)
            return self.out(mixed), None

    base: Any = torchvision.models.VisionTransformer

    class FreeSizeVit(base):  # type: ignore[misc]  # torchvision ships no types
        def forward(self, images: Tensor) -> Tensor:
            patches = self.conv_proj(images)
            tokens = patches.flatten(2).transpose(1, 2)
            side = self.image_size // self.patch_size
            grid = self.encoder.pos_embedding[:, 1:].transpose(1, 2).reshape(1, self.hidden_dim, side, side)
            grid = functional.interpolate(grid, size=patches.shape[-2:], mode="bilinear", align_corners=False)
            tokens = tokens + grid.flatten(2).transpose(1, 2)
            first = self.class_token + self.encoder.pos_embedding[:, :1]
            tokens = torch.cat([first.expand(tokens.shape[0], -1, -1), tokens], dim=1)
            tokens = self.encoder.ln(self.encoder.layers(self.encoder.dropout(tokens)))
            logits: Tensor = self.heads(tokens[:, 0])
            return logits

    module: Any = FreeSizeVit(224, 16, 12, heads, wide, 4 * wide, num_classes=num_classes)
    for block in module.encoder.layers:
        block.self_attention = Attention()
    built: nn.Module = module
    return built


def byte_gpt(vocabulary: int, width_mult: float) -> nn.Module:
    """Return a decoder over bytes: 6 layers, 256 wide at width 1 (4 heads), pre-norm, rotary positions.

    ``forward(tokens [n, s])`` is prefill, ``forward(tokens [n, s], cache [n, 12, heads, p, d])`` goes on after `p`
    tokens. Both give (logits [n, s, vocabulary], cache [n, 12, heads, p + s, d]): keys and values, layer by layer.
    Rotary positions (Su et al. 2021, arXiv:2104.09864) need no table, so that no length is built in.
    """
    import torch
    from torch import nn
    from torch.nn import functional

    layers, heads = 6, 4
    width = max(8 * heads, round(256 * width_mult / (8 * heads)) * 8 * heads)
    head = width // heads

    def rotate(vectors: Tensor, start: Any) -> Tensor:
        """Rotate pairs of [n, heads, s, d] by angles that grow with the position, from `start` on."""
        places = torch.arange(start, start + vectors.shape[2], dtype=torch.float32)
        angles = places[:, None] * torch.exp(torch.arange(0, head, 2) * (-9.21034 / head))[None, :]
        low, high = vectors.chunk(2, dim=-1)
        cos, sin = angles.cos().to(vectors.dtype), angles.sin().to(vectors.dtype)
        return torch.cat([low * cos - high * sin, low * sin + high * cos], dim=-1)

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, stream: Tensor, past: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor, Tensor]:
            count, length = stream.shape[0], stream.shape[1]
            split = self.qkv(self.norm(stream)).reshape(count, length, 3, heads, head).permute(2, 0, 3, 1, 4)
            queries, keys, values = split[0], split[1], split[2]
            start = 0 if past is None else past[0].shape[2]
            queries, keys = rotate(queries, start), rotate(keys, start)
            if past is not None:
                keys, values = torch.cat([past[0], keys], dim=2), torch.cat([past[1], values], dim=2)
            scores = queries @ keys.transpose(-1, -2) * head**-0.5
            seen = torch.arange(keys.shape[2])[None, :] <= torch.arange(start, start + length)[:, None]
            scores = scores.masked_fill(~seen, -1e9)
            mixed = (scores.softmax(dim=-1) @ values).transpose(1, 2).reshape(count, length, width)
            stream = stream + self.out(mixed)
            return stream + self.down(functional.gelu(self.up(self.norm_mlp(stream)))), keys, values

    class ByteGpt(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(vocabulary, width)
            self.layers = nn.ModuleList(Layer() for _ in range(layers))
            self.norm = nn.LayerNorm(width)
            self.logits = nn.Linear(width, vocabulary)
            nn.init.normal_(self.embedding.weight, std=0.02)

        def forward(self, tokens: Tensor, cache: Tensor | None = None) -> tuple[Tensor, Tensor]:
            stream = self.embedding(tokens)
            kept = []
            for index, layer in enumerate(self.layers):
                past = None if cache is None else (cache[:, 2 * index], cache[:, 2 * index + 1])
                stream, keys, values = layer(stream, past)
                kept += [keys, values]
            return self.logits(self.norm(stream)), torch.stack(kept, dim=1)

    return ByteGpt()


def byte_llama(vocabulary: int, width_mult: float) -> nn.Module:
    """Return a decoder over bytes with the arithmetic of Llama, so that GGUF takes it as it is.

    4 layers, 256 wide at width 1 (4 heads), a gated MLP of 3 times the width, RMS norms, no biases (arXiv:2302.13971).
    ``forward(tokens [n, s], cache [n, 8, heads, p, d])`` reads `s` tokens after `p`; it gives the logits
    [n, s, vocabulary] and the cache with them, keys and values layer by layer. Rotary positions turn neighbouring
    pairs, as llama.cpp does for this architecture.
    """
    import torch
    from torch import nn
    from torch.nn import functional

    layers, heads = LLAMA_LAYERS, LLAMA_HEADS
    width = llama_width(width_mult)
    head, wide = width // heads, 3 * width

    def rotate(vectors: Tensor, start: Any) -> Tensor:
        """Rotate neighbouring pairs of [n, heads, s, d] by angles that grow with the position, from `start` on."""
        places = torch.arange(start, start + vectors.shape[2], dtype=torch.float32)
        angles = places[:, None] * torch.exp(torch.arange(0, head, 2) * (-math.log(LLAMA_ROTARY_BASE) / head))[None, :]
        cos, sin = angles.cos(), angles.sin()
        pairs = vectors.unflatten(-1, (head // 2, 2))
        even, odd = pairs[..., 0], pairs[..., 1]
        return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2)

    class Norm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(width))

        def forward(self, stream: Tensor) -> Tensor:
            scaled: Tensor = stream * torch.rsqrt(stream.pow(2).mean(-1, keepdim=True) + LLAMA_EPSILON)
            return scaled * self.weight

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attn_norm, self.ffn_norm = Norm(), Norm()
            self.attn_q, self.attn_k = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
            self.attn_v, self.attn_output = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
            self.ffn_gate = nn.Linear(width, wide, bias=False)
            self.ffn_up = nn.Linear(width, wide, bias=False)
            self.ffn_down = nn.Linear(wide, width, bias=False)

        def forward(self, stream: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
            count, length, start = stream.shape[0], stream.shape[1], past.shape[3]
            normed = self.attn_norm(stream)
            queries, keys, values = (
                part(normed).reshape(count, length, heads, head).transpose(1, 2)
                for part in (self.attn_q, self.attn_k, self.attn_v)
            )
            queries, keys = rotate(queries, start), rotate(keys, start)
            kept = torch.cat([past, torch.stack([keys, values], dim=1)], dim=3)
            scores = queries @ kept[:, 0].transpose(-1, -2) * head**-0.5
            seen = torch.arange(start + length)[None, :] <= torch.arange(start, start + length)[:, None]
            mixed = scores.masked_fill(~seen, -1e9).softmax(dim=-1) @ kept[:, 1]
            stream = stream + self.attn_output(mixed.transpose(1, 2).reshape(count, length, width))
            normed = self.ffn_norm(stream)
            return stream + self.ffn_down(functional.silu(self.ffn_gate(normed)) * self.ffn_up(normed)), kept

    class ByteLlama(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token_embd = nn.Embedding(vocabulary, width)
            self.blk = nn.ModuleList(Layer() for _ in range(layers))
            self.output_norm = Norm()
            self.output = nn.Linear(width, vocabulary, bias=False)
            nn.init.normal_(self.token_embd.weight, std=0.02)

        def forward(self, tokens: Tensor, cache: Tensor | None = None) -> tuple[Tensor, Tensor]:
            stream = self.token_embd(tokens)
            past = torch.zeros(tokens.shape[0], 2 * layers, heads, 0, head) if cache is None else cache
            kept = []
            for index, layer in enumerate(self.blk):
                stream, own = layer(stream, past[:, 2 * index : 2 * index + 2])
                kept.append(own)
            return self.output(self.output_norm(stream)), torch.cat(kept, dim=1)

    return ByteLlama()
