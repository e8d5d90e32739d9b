"""A look at a file of weights before Keras reads it: whether it holds what the configuration says, and nothing else."""

import itertools

import h5py

_MAX_PARTS = 100_000  # groups and arrays of a file


def require_room(config, num_bytes):
    """Refuse a configuration of far more weights than a file of `num_bytes` bytes can hold, before it is built.

    Args:
        config: a `ModelConfig`.
        num_bytes: of the file; a weight takes at least two.

    Raises:
        ValueError: as said.
    """
    inner = config.num_heads * config.head_dim
    per_layer = 4 * config.embed_dim * inner + 2 * config.mlp_ratio * config.embed_dim**2
    patch_dim = 3 * config.patch_size**2 * (5 if config.use_spt else 1)
    tokens = (patch_dim + config.num_tokens) * config.embed_dim
    width = config.embed_dim * (config.num_tokens if config.pooling == "flatten" else 1)
    widths = (width, *config.head_units, config.num_classes)
    head = sum(before * after for before, after in itertools.pairwise(widths))
    at_least = config.depth * per_layer + tokens + head
    if 2 * at_least > num_bytes:
        raise ValueError(f"it describes a model of {at_least:,} weights, and the file has {num_bytes:,} bytes")


def require_same_shapes(path, model):
    """Refuse a file of weights that does not hold arrays of numbers of the model's shapes, each as often, and no links.

    Args:
        path: of an HDF5 file.
        model: a built `VisionTransformer`.

    Raises:
        ValueError: as said.
        OSError: it is no HDF5 file.
    """
    found, visited = [], 0
    with h5py.File(path, "r") as file:
        groups = [file]
        while groups:
            group = groups.pop()
            for name in group:
                visited += 1  # a group may lie in several others, and in itself
                if visited > _MAX_PARTS:
                    raise ValueError(f"it has more than {_MAX_PARTS:,} parts")
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ValueError(f"{name} is a link")
                item = group[name]
                if isinstance(item, h5py.Group):
                    groups.append(item)
                elif item.dtype.kind != "f" or item.is_virtual or item.external:
                    raise ValueError(f"{name} is no array of numbers")
                else:
                    found.append(item.shape)
    # Dropout's states of random numbers are variables too, but of whole numbers, and not stored.
    expected = sorted(tuple(variable.shape) for variable in model.variables if "float" in str(variable.dtype))
    if sorted(found) != expected:
        odd = next((shape for shape in found if shape not in set(expected)), None)
        detail = f"an array of shape {odd}" if odd is not None else f"{len(found)} arrays instead of {len(expected)}"
        raise ValueError(f"it holds {detail}")
