"""Patches of the two colour photographs that scikit-learn ships."""

import numpy as np

STRIDE = 8  # pixels from one training patch to the next


def splits(side: int = 32) -> dict[str, np.ndarray]:
    """Patches `[N, side, side, 3]`, uint8, of each split.

    Training patches overlap; they come from the upper five sixths of one photograph,
    validation patches from the rest of it. Test patches lie side by side on the other.

    Raises:
        ValueError: if a patch is higher than the validation's part.
    """
    from sklearn.datasets import load_sample_images

    first, other = load_sample_images().images
    cut = len(first) * 5 // 6
    if side > len(first) - cut:
        most = len(first) - cut
        raise ValueError(f"`image_size` must be at most {most}. Received: {side}")
    return {
        "train": patches(first[:cut], side, STRIDE),
        "validation": patches(first[cut:], side, STRIDE),
        "test": patches(other, side, side),
    }


def patches(photo: np.ndarray, side: int, stride: int) -> np.ndarray:
    """All windows of a photograph `[H, W, 3]`, row by row."""
    windows = np.lib.stride_tricks.sliding_window_view(photo, (side, side), (0, 1))
    windows = windows[::stride, ::stride].transpose(0, 1, 3, 4, 2)
    return windows.reshape(-1, side, side, photo.shape[-1])
