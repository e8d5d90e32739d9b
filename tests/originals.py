"""Weights under the names of the original implementations, and how they become weights of a `VisionTransformer`.

`golden/*.npy` hold the logits [2, K] that the original code gave for these very weights and images: the authors'
`models/vit.py` (github.com/aanna0701/SPT_LSA_ViT) under PyTorch 2.13 in float32, and the classes of the Keras example
under tf-keras 2.21.
"""

import numpy as np

# Where each of our images lies among theirs, which are ORIGINAL, RIGHT-DOWN, LEFT-DOWN, RIGHT-UP, LEFT-UP.
AUTHORS_SHIFT_ORDER = (0, 4, 2, 3, 1)


def images(image_size=32):
    """Smooth images with some noise: float32 [2, H, W, 3] of whole pixels 0-255."""
    rng = np.random.default_rng(11)
    coarse = rng.uniform(0, 255, (2, 4, 4, 3))
    smooth = coarse.repeat(image_size // 4, axis=1).repeat(image_size // 4, axis=2)
    return np.clip(np.rint(smooth + rng.normal(0, 10, smooth.shape)), 0, 255).astype("float32")


class Drawn(dict):
    """{name: value} of the tensors of an original, each drawn when it is called for, in the order of the golden logits.

    Scales are near 1, temperatures positive, matrices divided by the square root of their fan-in.
    """

    def __init__(self):
        super().__init__()
        self._rng = np.random.default_rng(12)

    def __call__(self, name, *shape):
        noise = self._rng.normal(size=shape)
        if name.endswith(("tau", "scale")):
            value = np.exp(0.3 * noise) * (0.25 if name.endswith("scale") else 8)
        elif name.endswith("gamma"):
            value = 1 + 0.2 * noise
        elif len(shape) < 2:
            value = 0.1 * noise
        else:
            value = noise / np.sqrt(shape[0] if name.endswith("kernel") else shape[-1])
        self[name] = value.astype("float32")
        return self[name]


def load_authors(model):
    """Give a `VisionTransformer` the weights of the authors' `ViT`.

    Returns:
        {name: value} by the names of its state dict, with `gamma` for LayerNorm's weight.
    """
    config, drawn = model.config, Drawn()
    dim, inner = config.embed_dim, config.num_heads * config.head_dim
    patch_dim = config.patch_size**2 * (15 if config.use_spt else 3)

    def norm(name, size):
        return [drawn(f"{name}.gamma", size), drawn(f"{name}.bias", size)]

    def linear(name, fan_in, units):
        return [drawn(f"{name}.weight", units, fan_in).T, drawn(f"{name}.bias", units)]

    def reorder(channels_last):
        """[..., P * P * 15] in the authors' order of the shifted images -> in ours."""
        split = channels_last.reshape(*channels_last.shape[:-1], config.patch_size**2, 5, 3)
        return split[..., list(AUTHORS_SHIFT_ORDER), :].reshape(channels_last.shape)

    model.patch_encoder.position_embedding.assign(drawn("pos_embedding", 1, config.num_tokens, dim)[0])
    model.patch_encoder.class_token.assign(drawn("cls_token", 1, 1, dim)[0])
    if config.use_spt:
        model.tokenization.layer_norm.set_weights([*map(reorder, norm("to_patch_embedding.merging.1", patch_dim))])
        kernel, bias = linear("to_patch_embedding.merging.2", patch_dim, dim)
        model.tokenization.projection.set_weights([reorder(kernel.T).T, bias])
    else:
        model.tokenization.projection.set_weights(linear("to_patch_embedding.1", patch_dim, dim))
    for index, block in enumerate(model.blocks):
        attention, mlp = (f"transformer.layers.{index}.{part}" for part in (0, 1))
        block.attention_norm.set_weights(norm(f"{attention}.norm", dim))
        if config.use_lsa:
            block.attention.set_tau(1 / drawn(f"{attention}.fn.scale", config.num_heads))
        block.attention.query_key_value.set_weights([drawn(f"{attention}.fn.to_qkv.weight", 3 * inner, dim).T])
        block.attention.output_projection.set_weights(linear(f"{attention}.fn.to_out.0", inner, dim))
        block.mlp_norm.set_weights(norm(f"{mlp}.norm", dim))
        block.mlp.denses[0].set_weights(linear(f"{mlp}.fn.net.0", dim, 2 * dim))
        block.mlp.denses[1].set_weights(linear(f"{mlp}.fn.net.3", 2 * dim, dim))
    model.final_norm.set_weights(norm("mlp_head.0", dim))
    model.classifier.set_weights(linear("mlp_head.1", dim, config.num_classes))
    return drawn


def load_keras_example(model):
    """Give a `VisionTransformer` the weights of the Keras example's model.

    Returns:
        {name: value}; `MultiHeadAttention`'s kernels have three axes.
    """
    config, drawn = model.config, Drawn()
    dim, heads, head_dim = config.embed_dim, config.num_heads, config.head_dim
    patch_dim = config.patch_size**2 * (15 if config.use_spt else 3)

    def norm(name, size):
        return [drawn(f"{name}/gamma", size), drawn(f"{name}/beta", size)]

    def dense(name, fan_in, units):
        return [drawn(f"{name}/kernel", fan_in, units), drawn(f"{name}/bias", units)]

    if config.use_spt:
        model.tokenization.layer_norm.set_weights(norm("tokenization/norm", patch_dim))
    model.tokenization.projection.set_weights(dense("tokenization/projection", patch_dim, dim))
    model.patch_encoder.position_embedding.assign(drawn("position_embedding", config.num_patches, dim))
    for index, block in enumerate(model.blocks):
        name = f"block_{index}"
        block.attention_norm.set_weights(norm(f"{name}/attention_norm", dim))
        kernels, biases = [], []
        for part in ("query", "key", "value"):
            kernels.append(drawn(f"{name}/{part}/kernel", dim, heads, head_dim).reshape(dim, -1))
            biases.append(drawn(f"{name}/{part}/bias", heads, head_dim).ravel())
        block.attention.query_key_value.set_weights([np.concatenate(kernels, axis=1), np.concatenate(biases)])
        output_kernel = drawn(f"{name}/output/kernel", heads, head_dim, dim).reshape(-1, dim)
        block.attention.output_projection.set_weights([output_kernel, drawn(f"{name}/output/bias", dim)])
        if config.use_lsa:
            block.attention.set_tau(drawn(f"{name}/tau", 1))
        block.mlp_norm.set_weights(norm(f"{name}/mlp_norm", dim))
        block.mlp.denses[0].set_weights(dense(f"{name}/mlp_0", dim, 2 * dim))
        block.mlp.denses[1].set_weights(dense(f"{name}/mlp_1", 2 * dim, dim))
    model.final_norm.set_weights(norm("final_norm", dim))
    width = config.num_patches * dim
    for index, (layer, units) in enumerate(zip(model.head.denses, config.head_units, strict=True)):
        layer.set_weights(dense(f"head_{index}", width, units))
        width = units
    model.classifier.set_weights(dense("classifier", width, config.num_classes))
    return drawn
