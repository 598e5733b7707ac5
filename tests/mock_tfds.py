"""What TFDS needs beside its mock images."""

import tensorflow_datasets as tfds


def write_metadata(name, data_dir, splits):
    """Describe a data set as prepared, for `mock_data` to fill it with images."""
    builder = tfds.builder(name, data_dir=data_dir)
    infos = [
        tfds.core.SplitInfo(name=split, shard_lengths=[size], num_bytes=0)
        for split, size in splits.items()
    ]
    builder.info.set_splits(tfds.core.SplitDict(infos))
    builder.data_path.mkdir(parents=True)
    builder.info.write_to_directory(builder.data_path)
    return builder.data_path
