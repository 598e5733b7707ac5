"""The deep hierarchies at the sizes of their papers, for machines with the time.

`tests/test_paper_sizes.py` holds how many parameters they have. Keyword arguments are
those of the model, such as `objective` and `seed`.
"""

import zoo


def nvae_mnist(**options) -> zoo.NVAE:
    """NVAE of binarised MNIST: 15 groups of 20 channels, 10 of 8 x 8 and 5 of 4 x 4.

    Images padded to 32 x 32, 32 channels at first, which double at every halving, two
    cells a group. It has 33.2 M parameters, the paper's 33 M. Here scales change by one
    convolution, not by a cell, all groups and the pixels have cells of expansion 6
    above them, and posteriors see 3 x 3 places of the features alone.
    The paper trains with Adamax for 400 epochs of batches of 400, a warm-up of the rate
    of 30 % of them and a learning rate that falls from 1e-2 to 1e-4.

    Reference: Vahdat & Kautz, "NVAE", 2020, table 6.
    """
    sizes = {"groups": (10, 5), "channels": 128, "outer_cells": (2, 2)}
    return nvae((28, 28, 1), **sizes, spectral=0.01, **options)


def nvae_cifar10(**options) -> zoo.NVAE:
    """NVAE of CIFAR-10: 30 groups of 16 x 16, two flows each, 128 channels at first.

    Mixtures of ten discretised logistics, as in the paper, but each value's own: there
    a pixel's green and blue also depend on its red.
    """
    sizes = {"groups": (30,), "channels": 256, "outer_cells": (1,), "flows": 2}
    logistic = zoo.DiscretisedLogistic(levels=256, components=10)
    return nvae((32, 32, 3), **sizes, spectral=0.01, likelihood=logistic, **options)


def nvae_celeba64(**options) -> zoo.NVAE:
    """NVAE of CelebA of 64 x 64: 20 groups of 32 x 32, 10 of 16 x 16, 5 of 8 x 8.

    64 channels at first; flows and likelihood are as for CIFAR-10.
    """
    sizes = {"groups": (20, 10, 5), "channels": 128, "outer_cells": (1,), "flows": 2}
    logistic = zoo.DiscretisedLogistic(levels=256, components=10)
    return nvae((64, 64, 3), **sizes, spectral=0.1, likelihood=logistic, **options)


def nvae(image_shape: tuple[int, ...], **options) -> zoo.NVAE:
    """What the three have in common."""
    sizes = {"latent_dim": 20, "cells": 2, "window": 3}
    return zoo.NVAE(image_shape, kind="depthwise", **sizes, **options)


def biva_mnist(**options) -> zoo.BIVA:
    """BIVA of binarised images: six layers, 64 channels, maps of 14 x 14 and 7 x 7.

    The paper's latents have 48, 40, 32, 24, 16 and 8 dimensions, bottom first. Here the
    top one is a vector too, the others are maps of so many channels, 58 024 numbers in
    all in place of 328; there is no dropout. For these images the paper does not say
    how many parameters it has; here they are 4.0 M.

    Reference: Maaloe et al., "BIVA", 2019, appendix.
    """
    dims, strides = (48, 40, 32, 24, 16), (2, 1, 1, 1, 2)
    sizes = {"top_dim": 8, "channels": 64, "strides": strides, "blocks": 3}
    return zoo.BIVA((28, 28, 1), dims, dims, **sizes, **options)
