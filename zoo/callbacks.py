"""Callbacks beside several steps at a time: the progress bar, and who hears what."""

import keras


class Progress(keras.callbacks.ProgbarLogger):
    """Keras' progress bar, which counts no further than there are batches.

    Keras would count whole executions, 20 of 18 batches, and show a time below zero.
    """

    async_safe = True  # as Keras' own, which it need not wait for

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(self._there(batch), logs)

    def on_test_batch_end(self, batch, logs=None):
        super().on_test_batch_end(self._there(batch), logs)

    def on_predict_batch_end(self, batch, logs=None):
        super().on_predict_batch_end(self._there(batch), logs)

    def _there(self, batch):
        return batch if self.target is None else min(batch, self.target - 1)


def with_progress(callbacks):
    """A user's callbacks and the progress bar, unless they have one of their own."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks
    several = keras.tree.flatten(callbacks) if callbacks else []
    bars = [c for c in several if isinstance(c, keras.callbacks.ProgbarLogger)]
    return several if bars else [*several, Progress()]


def listens_to_batches(callback) -> bool:
    """Whether a callback, unless it is Keras' own, wants to hear of every batch."""
    own, base = type(callback), keras.callbacks.Callback
    hooks = [x for x in dir(base) if x.startswith(("on_batch_", "on_train_batch_"))]
    if own.__module__.startswith("keras."):
        return any(hook in vars(callback) for hook in hooks)  # as LambdaCallback has
    return any(getattr(own, hook, None) is not getattr(base, hook) for hook in hooks)
