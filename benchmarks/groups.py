"""What many groups of latents cost before the first step: building and tracing.

python -m benchmarks.groups
"""

import time

import keras
import tensorflow as tf

import zoo

GROUPS, SHAPE, BATCH_SIZE, ROUNDS = (2, 10, 30), (32, 32, 1), 16, 5


def main() -> None:
    x = tf.zeros([BATCH_SIZE, *SHAPE])
    for count in GROUPS:
        model = timed(lambda count=count: build(count), f"{count} groups: built")
        step = tf.function(lambda model=model: model.train_step((x,)), autograph=False)
        graph = timed(step.get_concrete_function, "traced").graph.as_graph_def()
        loops = sum(len(function.node_def) for function in graph.library.function)
        print(f"{len(graph.node) + loops} operations", end=", ")
        for _ in range(ROUNDS):
            timed(step, "step")
        print()


def build(count: int) -> zoo.NVAE:
    model = zoo.NVAE(SHAPE, (count,), latent_dim=4, channels=16, cells=1)
    model.compile(keras.optimizers.Adamax(1e-3))
    return model


def timed(function, name: str):
    started = time.perf_counter()
    result = function()
    print(f"{name} {time.perf_counter() - started:.2f} s", end=", ", flush=True)
    return result


if __name__ == "__main__":
    main()
