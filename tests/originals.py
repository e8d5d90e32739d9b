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


def draw(shapes):
    """Draw a value for each named tensor: scales near 1, temperatures positive, matrices by their fan-in."""
    rng = np.random.default_rng(12)
    values = {}
    for name, shape in shapes.items():
        noise = rng.normal(size=shape)
        if name.endswith(("tau", "scale")):
            values[name] = np.exp(0.3 * noise) * (0.25 if name.endswith("scale") else 8)
        elif name.endswith("gamma"):
            values[name] = 1 + 0.2 * noise
        elif len(shape) < 2:
            values[name] = 0.1 * noise
        else:
            fan_in = shape[0] if name.endswith("kernel") else shape[-1]
            values[name] = noise / np.sqrt(fan_in)
    return {name: value.astype("float32") for name, value in values.items()}


def authors_shapes(config):
    """Tensors of the authors' `ViT` by the names of its state dict, with `gamma` for LayerNorm's weight."""
    dim, inner = config.embed_dim, config.num_heads * config.head_dim
    patch_dim = config.patch_size**2 * (15 if config.use_spt else 3)
    shapes = {"pos_embedding": (1, config.num_tokens, dim), "cls_token": (1, 1, dim)}
    if config.use_spt:
        prefix, linear = "to_patch_embedding.merging", 2
        shapes |= {f"{prefix}.1.gamma": (patch_dim,), f"{prefix}.1.bias": (patch_dim,)}
    else:
        prefix, linear = "to_patch_embedding", 1
    shapes |= {f"{prefix}.{linear}.weight": (dim, patch_dim), f"{prefix}.{linear}.bias": (dim,)}
    for index in range(config.depth):
        attention, mlp = (f"transformer.layers.{index}.{part}" for part in (0, 1))
        shapes |= {f"{attention}.norm.gamma": (dim,), f"{attention}.norm.bias": (dim,)}
        if config.use_lsa:
            shapes[f"{attention}.fn.scale"] = (config.num_heads,)
        shapes |= {
            f"{attention}.fn.to_qkv.weight": (3 * inner, dim),
            f"{attention}.fn.to_out.0.weight": (dim, inner),
            f"{attention}.fn.to_out.0.bias": (dim,),
            f"{mlp}.norm.gamma": (dim,),
            f"{mlp}.norm.bias": (dim,),
            f"{mlp}.fn.net.0.weight": (2 * dim, dim),
            f"{mlp}.fn.net.0.bias": (2 * dim,),
            f"{mlp}.fn.net.3.weight": (dim, 2 * dim),
            f"{mlp}.fn.net.3.bias": (dim,),
        }
    return shapes | {
        "mlp_head.0.gamma": (dim,),
        "mlp_head.0.bias": (dim,),
        "mlp_head.1.weight": (config.num_classes, dim),
        "mlp_head.1.bias": (config.num_classes,),
    }


def load_authors(model, values):
    """Give a `VisionTransformer` the weights of the authors' `ViT`."""

    def norm(layer, name):
        layer.set_weights([values[f"{name}.gamma"], values[f"{name}.bias"]])

    def linear(layer, name):
        layer.set_weights([values[f"{name}.weight"].T, values[f"{name}.bias"]])

    config = model.config
    model.patch_encoder.class_token.assign(values["cls_token"][0])
    model.patch_encoder.position_embedding.assign(values["pos_embedding"][0])
    if config.use_spt:

        def reorder(channels_last):
            """[..., P * P * 15] in the authors' order of the shifted images -> in ours."""
            split = channels_last.reshape(*channels_last.shape[:-1], config.patch_size**2, 5, 3)
            ours = split[..., list(AUTHORS_SHIFT_ORDER), :]
            return ours.reshape(channels_last.shape)

        prefix = "to_patch_embedding.merging"
        model.tokenization.layer_norm.set_weights([reorder(values[f"{prefix}.1.{part}"]) for part in ("gamma", "bias")])
        model.tokenization.projection.set_weights([reorder(values[f"{prefix}.2.weight"]).T, values[f"{prefix}.2.bias"]])
    else:
        linear(model.tokenization.projection, "to_patch_embedding.1")
    for index, block in enumerate(model.blocks):
        attention, mlp = (f"transformer.layers.{index}.{part}" for part in (0, 1))
        norm(block.attention_norm, f"{attention}.norm")
        block.attention.query_key_value.set_weights([values[f"{attention}.fn.to_qkv.weight"].T])
        linear(block.attention.output_projection, f"{attention}.fn.to_out.0")
        if config.use_lsa:
            block.attention.tau.assign(1 / values[f"{attention}.fn.scale"])
        norm(block.mlp_norm, f"{mlp}.norm")
        linear(block.mlp.denses[0], f"{mlp}.fn.net.0")
        linear(block.mlp.denses[1], f"{mlp}.fn.net.3")
    norm(model.final_norm, "mlp_head.0")
    linear(model.classifier, "mlp_head.1")


def keras_example_shapes(config):
    """Tensors of the Keras example's model; `MultiHeadAttention`'s kernels have three axes."""
    dim, heads, head_dim = config.embed_dim, config.num_heads, config.head_dim
    patch_dim = config.patch_size**2 * (15 if config.use_spt else 3)
    shapes = {}
    if config.use_spt:
        shapes |= {"tokenization/norm/gamma": (patch_dim,), "tokenization/norm/beta": (patch_dim,)}
    shapes |= {
        "tokenization/projection/kernel": (patch_dim, dim),
        "tokenization/projection/bias": (dim,),
        "position_embedding": (config.num_patches, dim),
    }
    for index in range(config.depth):
        block = f"block_{index}"
        shapes |= {f"{block}/attention_norm/gamma": (dim,), f"{block}/attention_norm/beta": (dim,)}
        for part in ("query", "key", "value"):
            shapes[f"{block}/{part}/kernel"] = (dim, heads, head_dim)
            shapes[f"{block}/{part}/bias"] = (heads, head_dim)
        shapes |= {f"{block}/output/kernel": (heads, head_dim, dim), f"{block}/output/bias": (dim,)}
        if config.use_lsa:
            shapes[f"{block}/tau"] = ()
        shapes |= {f"{block}/mlp_norm/gamma": (dim,), f"{block}/mlp_norm/beta": (dim,)}
        shapes |= {f"{block}/mlp_0/kernel": (dim, 2 * dim), f"{block}/mlp_0/bias": (2 * dim,)}
        shapes |= {f"{block}/mlp_1/kernel": (2 * dim, dim), f"{block}/mlp_1/bias": (dim,)}
    shapes |= {"final_norm/gamma": (dim,), "final_norm/beta": (dim,)}
    width = config.num_patches * dim
    for index, units in enumerate(config.head_units):
        shapes |= {f"head_{index}/kernel": (width, units), f"head_{index}/bias": (units,)}
        width = units
    return shapes | {"classifier/kernel": (width, config.num_classes), "classifier/bias": (config.num_classes,)}


def load_keras_example(model, values):
    """Give a `VisionTransformer` the weights of the Keras example's model."""

    def norm(layer, name):
        layer.set_weights([values[f"{name}/gamma"], values[f"{name}/beta"]])

    def dense(layer, name):
        layer.set_weights([values[f"{name}/kernel"], values[f"{name}/bias"]])

    config = model.config
    dim, inner = config.embed_dim, config.num_heads * config.head_dim
    if config.use_spt:
        norm(model.tokenization.layer_norm, "tokenization/norm")
    dense(model.tokenization.projection, "tokenization/projection")
    model.patch_encoder.position_embedding.assign(values["position_embedding"])
    for index, block in enumerate(model.blocks):
        name = f"block_{index}"
        norm(block.attention_norm, f"{name}/attention_norm")
        kernels = [values[f"{name}/{part}/kernel"].reshape(dim, inner) for part in ("query", "key", "value")]
        biases = [values[f"{name}/{part}/bias"].reshape(inner) for part in ("query", "key", "value")]
        block.attention.query_key_value.set_weights([np.concatenate(kernels, axis=1), np.concatenate(biases)])
        output_kernel = values[f"{name}/output/kernel"].reshape(inner, dim)
        block.attention.output_projection.set_weights([output_kernel, values[f"{name}/output/bias"]])
        if config.use_lsa:
            block.attention.tau.assign(values[f"{name}/tau"][None])
        norm(block.mlp_norm, f"{name}/mlp_norm")
        dense(block.mlp.denses[0], f"{name}/mlp_0")
        dense(block.mlp.denses[1], f"{name}/mlp_1")
    norm(model.final_norm, "final_norm")
    for index, layer in enumerate(model.head.denses):
        dense(layer, f"head_{index}")
    dense(model.classifier, "classifier")
