"""What a run's files say about its net and its training."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from medcls.quoting import in_grammar
from medcls.runs.history import best_row
from medcls.sheet.data_facts import called
from medcls.sheet.record import Fact, Record

_NAMES = ("family", "name")  # of a part: what it is, beside its arguments


def technology(record: Record) -> Fact:
    """The kind of method."""
    text = f"Deep learning: the net {record.metrics['model']} classifies whole images, trained with PyTorch."
    return record.fact(text, "metrics.json")


def predictors(record: Record) -> Fact:
    """What the net is given."""
    height, width, channels = record.images["shape"]
    text = f"The {width} x {height} x {channels} pixels of one image, and nothing else about the patient."
    return record.fact(text, "data.json")


def net(record: Record) -> Fact:
    """Its structure."""
    metrics, (height, width, channels) = record.metrics, record.images["shape"]
    model = {key: value for key, value in record.config["model"].items() if key != "weights"}  # see initialisation
    text = (
        f"{part(model)}; {metrics['parameters']:,} parameters; in: {channels} x {height} x {width} in "
        f"[0, 1]; out: a probability for each of {len(metrics['classes'])} classes. Weights: checkpoints/best.ckpt."
    )
    return record.fact(text, "config.yaml", "metrics.json", "checkpoints/best.ckpt")


def software(record: Record) -> Fact:
    """Versions of what computed."""
    environment, git = record.environment, record.environment["git"]
    packages = ", ".join(f"{name} {version}" for name, version in environment["packages"].items())
    changed = f" with {git['changed_files']} changed files" if git["changed_files"] else ""
    commit = "not from a checkout" if git["commit"] is None else f"commit {git['commit']}{changed}"
    return record.fact(f"Python {environment['python']}, {packages}; {commit}.", "environment.json")


def hardware(record: Record) -> Fact:
    """What it ran on."""
    environment, trainer = record.environment, record.config["trainer"]
    gpus = ", ".join(environment["gpus"]) or "none"
    text = (
        f"{environment['platform']}; GPUs present: {gpus}; trainer.accelerator={trainer['accelerator']}, precision "
        f"{trainer['precision']}, threads {environment['threads']}."
    )
    return record.fact(text, "environment.json", "config.yaml")


def initialisation(record: Record) -> Fact:
    """How weights are initialized."""
    model = record.config["model"]
    files = ["config.yaml"]
    if model["family"] in ("torchvision", "frozen"):
        if model["weights"] is None:
            how = "at random, as torchvision draws them"
        elif digest := record.environment.get("weights_sha256"):
            how = f"from the file {PurePath(model['weights']).name}, SHA-256 {digest}"
            files.append("environment.json")
        else:
            how = f"from torchvision's weights {model['weights']}"
        how += ", and only the head is trained" if model["family"] == "frozen" else ""
    elif model["family"] == "own":
        how = f"as {model['_target_']} initializes them"
    else:
        how = f"at random ({model['init']}), biases at zero" if model["init"] == "glorot" else "as PyTorch draws them"
    return record.fact(f"Weights are initialized {how}.", *files)


def training(record: Record) -> Fact:
    """Optimizer, schedule, loss, batches, epochs, when it stops."""
    config = record.config
    two, name = len(record.metrics["classes"]) == 2, config["loss"]["name"]
    known = {"default": "binary cross-entropy" if two else "cross-entropy"}
    known["one_vs_rest"] = known["default"] if two else "binary cross-entropy of each class against the rest"
    loss = known.get(name, part(config["loss"]))
    patience = config["trainer"]["patience"]
    stop = (
        "no early stopping"
        if patience is None
        else f"early stopping after {patience} epochs without a lower validation loss"
    )
    text = (
        f"Optimizer {part(config['optimizer'])}; learning rate {config['lr']:g}; schedule {part(config['scheduler'])}; "
        f"loss {loss}; batches of {config['batch_size']}; {len(record.run.history)} of at most "
        f"{config['epochs']} epochs, {stop}. Hyperparameters as configured: this run searched none."
    )
    return record.fact(text, "config.yaml", "history.csv")


def augmentation(record: Record) -> Fact:
    """How training images are varied."""
    transforms = record.config["augment"]["transforms"]
    if not transforms:
        return record.fact("Training images are not augmented.", "config.yaml")
    listed = "; ".join(f"{name} ({arguments(of)})" for name, of in transforms.items())
    return record.fact(f"Training images are augmented (albumentations): {listed}.", "config.yaml")


def imbalance(record: Record) -> Fact:
    """Whether the loss weights classes."""
    weights = record.config["loss"]["class_weights"]
    text = (
        "The loss weights all images equally" if weights is None else f"The loss weights classes: {in_grammar(weights)}"
    )
    return record.fact(f"{text}; no image is drawn more often than another.", "config.yaml")


def selection(record: Record) -> Fact:
    """How the checkpoint was chosen."""
    best = best_row(record.run.history)
    text = (
        f"Epoch {best['epoch']:g} of {len(record.run.history)}, with the lowest validation loss "
        f"({best['val_loss']:.4f}) on {called(record, 'val')}."
    )
    if record.judged == "test":
        text += " Test images were judged once, by that epoch."
    return record.fact(text, "history.csv", "metrics.json")


def ensembling(record: Record) -> Fact:
    """Whether nets are used as an ensemble."""
    text = "None: all metrics are of one net, checkpoints/best.ckpt."
    together = [f"{one.name}: {one.n_nets} nets, by their mean" for one in record.external if one.n_nets > 1]
    return record.fact(" ".join([text, *together]), "checkpoints/best.ckpt")


def repetition(record: Record) -> Fact:
    """What it takes to get the same numbers again."""
    git, config = record.environment["git"], record.config
    text = (
        f"Seed {config['seed']}, split seed {config['data']['split']['seed']}, "
        f"deterministic {str(config['trainer']['deterministic']).lower()}; all settings in config.yaml, command, "
        f"versions and commit {git['commit'] or '(none)'} in environment.json; images by fingerprint "
        f"{record.images['fingerprint'][:16]}."
    )
    return record.fact(text, "config.yaml", "environment.json", "data.json")


def part(section: Mapping[str, Any]) -> str:
    """A part of the configuration: its name, and its arguments in brackets."""
    name = " ".join(str(section[key]) for key in _NAMES if section.get(key) is not None)
    rest = arguments({key: value for key, value in section.items() if key not in _NAMES})
    return f"{name} ({rest})" if rest else name


def arguments(values: Mapping[str, Any]) -> str:
    """Settings with their values; those that are not set are left out."""
    return ", ".join(f"{key} {in_grammar(value)}" for key, value in values.items() if value is not None)
