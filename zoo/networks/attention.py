"""Self-attention of places in order, at once or step by step."""

import keras
import tensorflow as tf

from zoo import checks


class CausalAttention(keras.layers.Layer):
    """Each of P places learns from all places before it.

        q = A (h + p),  k, v = B (h + e + p),  h <- h + U concat_heads sum_j w_j v_j
        w = softmax over 0 and the q k_j^T / sqrt(d) of those before

    with e what is known of a place when it is past, p a learned code of each place,
    and d channels for each head. The 0 lets a place, as the first must, learn nothing.

    Args:
        places: P.
        channels: C, of h and e.
        heads: number of heads; divides C.

    Raises:
        ValueError: if it does not.

    Reference: Vaswani et al., "Attention Is All You Need", 2017, section 3.2; Razavi et
    al., "Generating Diverse High-Fidelity Images with VQ-VAE-2", 2019, section 3.2.
    """

    def __init__(self, places: int, channels: int, heads: int):
        super().__init__(dtype="float32")
        checks.at_least(1, attention_heads=heads)
        wanted = "`attention_heads` must divide `channels`."
        checks.require(channels % heads == 0, wanted, f"{heads} of {channels}")
        self.places = places
        self.channels = channels
        self.heads = heads

    def build(self, _=None):
        channels = self.channels
        self.codes = self.add_weight((self.places, channels), name="codes")
        self.query = self.add_weight((channels, channels), name="query")
        self.known = self.add_weight((channels, 2 * channels), name="known")
        self.out = self.add_weight((channels, channels), name="out")

    def call(self, h, e):
        """All places `[B, P, C]` at once."""
        known = tf.tensordot(h + e + self.codes, self.known, 1)
        before = tf.linalg.band_part(tf.ones([self.places] * 2), -1, 0)
        before -= tf.eye(self.places)
        return h + self._found(h + self.codes, known, before)

    def start(self, rows) -> tf.Tensor:
        """What is known before the first place, `[rows, P, 2 C]`."""
        return tf.zeros([rows, self.places, 2 * self.channels])

    def look(self, h, known, place):
        """One place, h `[B, C]`, after those before it."""
        before = tf.cast(tf.range(self.places) < place, tf.float32)[None]
        return h + self._found((h + self.codes[place])[:, None], known, before)[:, 0]

    def remember(self, h, e, known, place):
        """What is known once a place is past too."""
        new = tf.tensordot(h + e + self.codes[place], self.known, 1)
        return known + tf.one_hot(place, self.places)[:, None] * new[:, None]

    def _found(self, queries, known, before):
        parts = tf.tensordot(queries, self.query, 1), *tf.split(known, 2, axis=-1)
        q, k, v = (self._of_heads(t) for t in parts)
        logits = tf.einsum("bqhd,bkhd->bhqk", q, k) / tf.sqrt(float(q.shape[-1]))
        logits += tf.math.log(before)
        logits = tf.pad(logits, [[0, 0], [0, 0], [0, 0], [0, 1]])
        shares = tf.nn.softmax(logits, axis=-1)[..., :-1]
        found = tf.einsum("bhqk,bkhd->bqhd", shares, v)
        found = tf.reshape(found, [-1, queries.shape[1], self.channels])
        return tf.tensordot(found, self.out, 1)

    def _of_heads(self, t):
        size = self.channels // self.heads
        return tf.reshape(t, [-1, t.shape[1], self.heads, size])
