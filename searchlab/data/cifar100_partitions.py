"""Partitions of CIFAR-100 as tables: those of paper 003, and those induced from its images."""

THREE_GROUPS: tuple[tuple[str, ...], ...] = (
    (
        *("apple", "bottle", "bowl", "can", "clock", "cup", "keyboard", "lamp", "orange", "orchid", "mushroom", "pear"),
        *("plate", "poppy", "rose", "sunflower", "sweet_pepper", "telephone", "tulip", "worm"),
    ),
    (
        *("aquarium_fish", "baby", "bear", "beaver", "bee", "beetle", "boy", "butterfly", "camel", "caterpillar"),
        *("cattle", "chimpanzee", "cockroach", "crab", "crocodile", "dinosaur", "dolphin", "elephant", "flatfish"),
        *("fox", "girl", "hamster", "kangaroo", "leopard", "lion", "lizard", "lobster", "man", "mouse", "otter"),
        *("porcupine", "possum", "rabbit", "raccoon", "ray", "seal", "shark", "shrew", "skunk", "snail", "snake"),
        *("spider", "squirrel", "tiger", "trout", "turtle", "whale", "wolf", "woman"),
    ),
    (
        *("bed", "bicycle", "bridge", "bus", "castle", "chair", "cloud", "couch", "forest", "house", "lawn_mower"),
        *("maple_tree", "motorcycle", "mountain", "oak_tree", "palm_tree", "pickup_truck", "pine_tree", "plain"),
        *("road", "rocket", "sea", "skyscraper", "streetcar", "table", "tank", "television", "tractor", "train"),
        *("wardrobe", "willow_tree"),
    ),
)
"""Paper 003, section 3: small things, animals and people, large things (20, 49 and 31 classes)."""

FOUR_GROUPS: tuple[tuple[str, ...], ...] = (
    (
        *("apple", "bee", "bottle", "bowl", "butterfly", "can", "caterpillar", "clock", "cockroach", "cup"),
        *("keyboard", "lamp", "orange", "orchid", "mushroom", "pear", "plate", "poppy", "rose", "snail", "snake"),
        *("spider", "sunflower", "sweet_pepper", "telephone", "tulip", "worm"),
    ),
    (
        *("baby", "bear", "beaver", "beetle", "boy", "camel", "cattle", "chimpanzee", "dinosaur", "elephant", "fox"),
        *("girl", "hamster", "kangaroo", "leopard", "lion", "lizard", "man", "mouse", "porcupine", "possum"),
        *("rabbit", "raccoon", "shrew", "skunk", "squirrel", "tiger", "wolf", "woman"),
    ),
    THREE_GROUPS[2],
    (
        *("aquarium_fish", "crab", "crocodile", "dolphin", "flatfish", "lobster", "otter", "ray", "seal", "shark"),
        *("trout", "turtle", "whale"),
    ),
)
"""Paper 003, table 3: aquatic animals apart, small land animals with the small things (27, 29, 31 and 13 classes)."""

KINDRED: tuple[str, ...] = (
    *("people", "large_carnivores", "large_omnivores_and_herbivores", "medium_mammals", "small_mammals"),
    *("aquatic_mammals", "fish", "reptiles", "non-insect_invertebrates", "insects"),
    *("flowers", "fruit_and_vegetables", "food_containers", "household_electrical_devices", "household_furniture"),
    *("vehicles_1", "vehicles_2", "large_man-made_outdoor_things", "large_natural_outdoor_scenes", "trees"),
)
"""The superclasses ordered by similarity: any blocks of neighbours are groups."""

BY_PIXEL_MEANS: dict[int, str] = {
    2: "0111101000010010001101000011000001110010001111100011001000000011111000100011011110110000100010000110",
    3: "0101101000012210021101000011002101110210001111120211201120222011111220122211211112110202122012022110",
    4: "0100100000002210021031003001002001100200031100120201201000222011111220120211200002100230122012022100",
    5: "0122202000023320032242004022003201220320042222230321301230333012122330133322322223200342233013033220",
    6: "0123302000024320042353045022004301220320052222233421301330334012122444143422422223330353233012043220",
    7: "0123302000024320042353065022006301220320052222233421301330334012122646143622422223000453233016063220",
    8: "0102230333304252345262376305337221503203365500522401201223224315555747142755400002003262522317072503",
}
"""Number of groups to the group of every class, in the official order: by the classes' mean images of 8x8 pixels.

As the two below, printed by `benchmarks/partitions_induced.py`. It needs no training.
"""

BY_EMBEDDING_MEANS: dict[int, str] = {
    2: "0001101100000011001101000011010110111010001111000011000100000001111100001011011110000000100101000100",
    3: "0001101100002201021101020011012112101210001110020211200120222001111122021211211112000200122101022100",
    4: "0011121122012211221121231211213113111212221111132311300130233001111333031311311112002222122101233111",
    5: "0121121122223311231121242211214113121312221111232411300130334201111444041411411113002322133104243122",
    6: "0123321112124413241323251211215315323431213311254533500350455103333555053533511134002422344101255321",
    7: "0123341114124413441343151413115316323431113311261533600360465103333555053533511134004414344101456321",
    8: "0123341114125513451343461411416317323531413311271633700370576103333666063633611135004544355101467321",
}
"""By the mean features that the final head of a small network reads: ResNet((1, 1, 1), 32) after ten epochs."""

BY_CONFUSION: dict[int, str] = {
    2: "0000000000001000010000010000000001000100000000010100100010011000000010010000000001000000001000001000",
    3: "0111111111111111111111111111111112111111111111121211200120121101111111011111111111001111111101112111",
    4: "0111121122212211221121221211211113111212221111132211300130232201111121021111211112002222122101213111",
    5: "0121131133323311331131331311311114121313331111243311400140343301111131031111311113003333133101314121",
    6: "0121131133323311331131341311311115121313331111253411500150354301111131041111111113003333133101315121",
    7: "0121131143324411341431351311311116121413341111264511600160465301111141051111111114003433144101316121",
    8: "0123341154425513451343461411431317323534453311275631700370576403333151061131111135004544355101417321",
}
"""By what the same network, 58 % of whose answers were right, confused on the validation split."""
