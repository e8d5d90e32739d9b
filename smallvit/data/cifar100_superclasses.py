"""The 20 superclasses of CIFAR-100, to show its 100 classes in an order that can be searched by eye."""

from collections.abc import Sequence

# Named as in the release and in the order of its coarse labels; the classes of each by name.
# Reference: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009; the files train, test and meta
# of the python release say the same.
SUPERCLASSES = {
    "aquatic_mammals": ("beaver", "dolphin", "otter", "seal", "whale"),
    "fish": ("aquarium_fish", "flatfish", "ray", "shark", "trout"),
    "flowers": ("orchid", "poppy", "rose", "sunflower", "tulip"),
    "food_containers": ("bottle", "bowl", "can", "cup", "plate"),
    "fruit_and_vegetables": ("apple", "mushroom", "orange", "pear", "sweet_pepper"),
    "household_electrical_devices": ("clock", "keyboard", "lamp", "telephone", "television"),
    "household_furniture": ("bed", "chair", "couch", "table", "wardrobe"),
    "insects": ("bee", "beetle", "butterfly", "caterpillar", "cockroach"),
    "large_carnivores": ("bear", "leopard", "lion", "tiger", "wolf"),
    "large_man-made_outdoor_things": ("bridge", "castle", "house", "road", "skyscraper"),
    "large_natural_outdoor_scenes": ("cloud", "forest", "mountain", "plain", "sea"),
    "large_omnivores_and_herbivores": ("camel", "cattle", "chimpanzee", "elephant", "kangaroo"),
    "medium_mammals": ("fox", "porcupine", "possum", "raccoon", "skunk"),
    "non-insect_invertebrates": ("crab", "lobster", "snail", "spider", "worm"),
    "people": ("baby", "boy", "girl", "man", "woman"),
    "reptiles": ("crocodile", "dinosaur", "lizard", "snake", "turtle"),
    "small_mammals": ("hamster", "mouse", "rabbit", "shrew", "squirrel"),
    "trees": ("maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree"),
    "vehicles_1": ("bicycle", "bus", "motorcycle", "pickup_truck", "train"),
    "vehicles_2": ("lawn_mower", "rocket", "streetcar", "tank", "tractor"),
}


def by_superclass(class_names: Sequence[str]) -> dict[str, list[str]] | None:
    """Group class names by superclass.

    Args:
        class_names: strings, in any order.

    Returns:
        The 5 classes of each of the 20 superclasses, both by name, if `class_names` are CIFAR-100's 100, each once;
        else None.
    """
    if sorted(class_names) != sorted(name for names in SUPERCLASSES.values() for name in names):
        return None
    return {superclass: list(names) for superclass, names in SUPERCLASSES.items()}
