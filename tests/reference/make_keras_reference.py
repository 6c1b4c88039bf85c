"""Write ``keras.npz``: what Keras, the framework of the study, computes with each of our nets.

    pip install -e '.[bench]'
    python tests/reference/make_keras_reference.py

Every case is one net in float64 on a batch of four random images. In the file, under the name of the case:

``images`` (N, H, W, C) uint8, to be divided by 255; ``labels`` (N,) integers;
``logits`` and ``loss`` in training mode (batch statistics); ``evaluation_logits`` (moving statistics, before the step);
``layer<i>/<weight>`` of the i-th layer that has weights, named and laid out as in Keras, exact in float32;
``layer<i>/<weight>/gradient`` of the loss, for every trainable weight;
``layer<i>/moving_mean/after`` and ``layer<i>/moving_variance/after`` the step in training mode.

The architectures are written down here a second time, from the study and not from ``medcls``, so that the two can
disagree. Optimiser steps are left out: Keras and PyTorch place Adam's epsilon differently.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

FILE = Path(__file__).with_name("keras.npz")
SIDE, BATCH, CLASSES = 32, 4, 3
N_BASE = 2

# Widths of the convolutions as the study prints them, a pool after each row; then the hidden dense layers.
b = N_BASE
NETS: dict[str, tuple[list[list[int]], list[int]]] = {
    "lenet": ([[b], [2 * b]], [2 * b]),
    "alexnet": ([[b], [2 * b], [4 * b, 4 * b, 2 * b]], [6, 5]),
    "vgg16": ([[b] * 2, [2 * b] * 2, [4 * b] * 3, [8 * b] * 3, [8 * b] * 3], [6, 5]),
}

# Output activation and loss as they stand in a Keras script of the time: probabilities, not logits.
LOSSES = {
    "bce": ("sigmoid", "binary_crossentropy"),
    "cross_entropy": ("softmax", "categorical_crossentropy"),
    "one_vs_rest": ("sigmoid", "binary_crossentropy"),
}

# Every net with and without batch norm; every loss with and without it, and on two nets.
CASES = [
    ("lenet", "plain", "bce", 1),
    ("lenet", "batch_norm", "one_vs_rest", 3),
    ("alexnet", "plain", "one_vs_rest", 1),
    ("alexnet", "batch_norm", "cross_entropy", 3),
    ("vgg16", "plain", "cross_entropy", 3),
    ("vgg16", "batch_norm", "bce", 1),
]


def build(net: str, batch_norm: bool, loss: str, channels: int) -> keras.Model:
    """Model from images (N, H, W, C) to logits and probabilities, both (N, outputs)."""
    stages, dense = NETS[net]
    images = keras.Input((SIDE, SIDE, channels))
    x = images
    for widths in stages:
        for width in widths:
            x = keras.layers.Conv2D(width, 3, padding="same")(x)
            if batch_norm:
                x = keras.layers.BatchNormalization()(x)
            x = keras.layers.Activation("relu")(x)
        x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Flatten()(x)
    for width in dense:
        x = keras.layers.Dense(width, activation="relu")(x)
    logits = keras.layers.Dense(1 if loss == "bce" else CLASSES)(x)
    return keras.Model(images, [logits, keras.layers.Activation(LOSSES[loss][0])(logits)])


def randomise(model: keras.Model, rng: np.random.Generator) -> None:
    """Draw what starts at 0 or 1, which a comparison would else be blind to, and widen the Glorot kernels."""
    draws = {
        # About He's scale: with Glorot's the signal of this narrow VGG16 dies away without batch norm.
        "kernel": lambda weight: 1.5 * weight.numpy(),
        "bias": lambda weight: rng.normal(0.1, 0.1, weight.shape),
        "gamma": lambda weight: rng.uniform(0.5, 1.5, weight.shape),
        "beta": lambda weight: rng.normal(0.1, 0.2, weight.shape),
        "moving_mean": lambda weight: rng.normal(0, 0.2, weight.shape),
        "moving_variance": lambda weight: rng.uniform(0.2, 1.5, weight.shape),
    }
    for weight in model.weights:
        value = draws[weight.name](weight)
        # Exact in float32, so that the file can store it as such.
        weight.assign(value.astype(np.float32).astype(np.float64))


def compute(net: str, norm: str, loss: str, channels: int, seed: int) -> dict[str, np.ndarray]:
    """Arrays of one case, by their name in the file."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    model = build(net, norm == "batch_norm", loss, channels)
    randomise(model, rng)
    # Patches under noise: white noise alone looks the same to a deep net from one image to the next.
    patches = rng.integers(0, 192, (BATCH, 4, 4, channels)).repeat(SIDE // 4, axis=1).repeat(SIDE // 4, axis=2)
    images = (patches + rng.integers(0, 64, patches.shape)).astype(np.uint8)
    labels = np.arange(BATCH) % (2 if loss == "bce" else CLASSES)
    targets = labels[:, None] if loss == "bce" else np.eye(CLASSES)[labels]

    arrays: dict[str, np.ndarray] = {"images": images, "labels": labels}
    names = {
        weight.path: f"layer{index}/{weight.name}"
        for index, layer in enumerate(layer for layer in model.layers if layer.weights)
        for weight in layer.weights
    }
    for weight in model.weights:
        arrays[names[weight.path]] = weight.numpy().astype(np.float32)
    inputs = tf.constant(images / 255.0, tf.float64)
    arrays["evaluation_logits"] = model(inputs, training=False)[0].numpy()

    with tf.GradientTape() as tape:
        logits, probabilities = model(inputs, training=True)
        value = tf.reduce_mean(keras.losses.get(LOSSES[loss][1])(tf.constant(targets, tf.float64), probabilities))
    gradients = tape.gradient(value, [weight.value for weight in model.trainable_weights])
    arrays["logits"], arrays["loss"] = logits.numpy(), value.numpy()
    for weight, gradient in zip(model.trainable_weights, gradients, strict=True):
        arrays[f"{names[weight.path]}/gradient"] = gradient.numpy()
    for weight in model.non_trainable_weights:
        arrays[f"{names[weight.path]}/after"] = weight.numpy()

    assert all(array.dtype == np.float64 for name, array in arrays.items() if name.endswith(("logits", "/gradient")))
    return arrays


def is_alive(arrays: dict[str, np.ndarray]) -> bool:
    """Whether the case tests something: logits tell images apart, within reason, and a gradient reaches most filters.

    In nets this narrow whole layers can die, and a dead net agrees with any other.
    """
    gradients = {name: array for name, array in arrays.items() if name.endswith("/gradient")}
    filters = [np.abs(g).reshape(-1, g.shape[-1]).max(axis=0) > 0 for name, g in gradients.items() if "kernel" in name]
    return bool(
        all(gradient.any() for gradient in gradients.values())
        and all(reached.mean() >= 0.5 for reached in filters)
        and np.ptp(arrays["logits"], axis=0).min() > 1e-2
        and np.ptp(arrays["evaluation_logits"], axis=0).min() > 1e-2
        # Keras clips probabilities to 1e-7 from 0 and 1, logits of 16, beyond which the losses differ by design.
        and np.abs(arrays["logits"]).max() < 8
    )


def main() -> None:
    keras.config.set_floatx("float64")
    tf.config.experimental.enable_op_determinism()
    stored: dict[str, np.ndarray] = {
        "versions": np.array([f"keras {keras.__version__}", f"tensorflow {tf.__version__}"])
    }
    for case in CASES:
        seed = 0
        while not is_alive(arrays := compute(*case, seed)):
            seed += 1
            assert seed < 50, f"{case}: no seed gives a net that is alive"
        name = "-".join(map(str, case))
        stored |= {f"{name}/{key}": array for key, array in arrays.items()}
        gradient = max(np.abs(array).max() for key, array in arrays.items() if key.endswith("/gradient"))
        print(f"{name}: seed {seed}, loss {arrays['loss']:.4f}, largest gradient {gradient:.3g}")
    np.savez_compressed(FILE, **stored)
    print(f"{FILE.name}: {FILE.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
