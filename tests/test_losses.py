"""Losses, class weights and schedules give the numbers of scikit-learn, SciPy and the papers."""

import csv
import json

import numpy as np
import pytest
import torch
from conftest import TINY
from scipy.special import expit, softmax
from sklearn import metrics
from sklearn.utils.class_weight import compute_class_weight

from medcls.config.parts import read_part
from medcls.config.stored import read_conf
from medcls.errors import UserError
from medcls.formats.decode import decode
from medcls.training.classifier import auroc, load_classifier
from medcls.training.losses import correct, loss_function, probabilities
from medcls.training.schedule import build_schedule, step_schedule

SMALL = [*TINY, "trainer.threads=1", "logger=none", "audit=none", "epochs=1"]
STILL = "lr=1e-30"  # too small to change any weight, so that the net of every batch is the one in the checkpoint
KINDS = [("bce", 2), ("cross_entropy", 4), ("one_vs_rest", 4)]
WEIGHTS = [0.5, 2.0, 3.0, 1.0]


def outputs(loss, n_classes):
    """Logits and labels of classes of unequal size."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(n_classes), [12, 7, 5, 6][:n_classes])
    return 2 * rng.normal(size=(len(labels), 1 if loss == "bce" else n_classes)), labels


def by_scipy(logits, loss):
    if loss == "cross_entropy":
        return softmax(logits, axis=1)
    p = expit(logits)
    return np.hstack([1 - p, p]) if loss == "bce" else p


def by_scikit_learn(labels, p, loss, of_images=None):
    """Log loss; of independent outputs the mean of theirs, each of its class against the rest."""
    if loss != "one_vs_rest":
        p = p / p.sum(axis=1, keepdims=True)  # which float32 leaves a little off 1
        return metrics.log_loss(labels, p, labels=range(p.shape[1]), sample_weight=of_images)
    return np.mean([metrics.log_loss(labels == k, p[:, k], sample_weight=of_images) for k in range(p.shape[1])])


@pytest.mark.parametrize(("loss", "n_classes"), KINDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_is_the_log_loss_of_scikit_learn_with_each_image_weighted_by_its_class(loss, n_classes, weighted):
    logits, labels = outputs(loss, n_classes)
    weights = WEIGHTS[:n_classes] if weighted else None
    found = loss_function(loss, torch.tensor(weights).double() if weighted else None)(
        torch.tensor(logits), torch.tensor(labels)
    )
    of_images = np.array(weights)[labels] if weighted else None
    assert found.item() == pytest.approx(by_scikit_learn(labels, by_scipy(logits, loss), loss, of_images))


@pytest.mark.parametrize(("loss", "n_classes"), KINDS)
def test_probabilities_are_those_of_scipy_and_hits_and_auroc_those_of_scikit_learn(loss, n_classes):
    logits, labels = outputs(loss, n_classes)
    logits[:2] = 0  # a tie goes to the class of the lower index
    p = by_scipy(logits, loss)
    found = probabilities(torch.tensor(logits), loss)
    assert found.numpy() == pytest.approx(p, abs=1e-6)
    hits = metrics.accuracy_score(labels, p.argmax(axis=1), normalize=False)
    assert correct(torch.tensor(logits), torch.tensor(labels)) == hits
    expected = metrics.roc_auc_score(np.eye(n_classes)[labels], p, average="macro")
    assert auroc(found, torch.tensor(labels), n_classes - 1).item() == pytest.approx(expected)


def test_auroc_of_an_epoch_is_that_of_the_table_where_probabilities_are_rounded_to_ties():
    """Logits of a net that overfits, beyond the 17 from which on 1 minus a probability is 1."""
    logits = torch.tensor([[-30.0], [-25.0], [-20.0], [-18.0], [16.0], [17.5], [19.0], [25.0]])
    labels = torch.tensor([0, 1, 0, 1, 0, 1, 0, 1])
    p = probabilities(logits, "bce")
    found = [auroc(p, labels, positive).item() for positive in (0, 1)]
    assert found == pytest.approx([metrics.roc_auc_score(labels == k, p[:, k]) for k in (0, 1)])
    assert found[0] != found[1]


@pytest.fixture
def uneven(make_folder):
    """Three classes of 3, 8 and 6 training images and 5, 2 and 4 for validation."""
    root = make_folder(classes=tuple("abc"), counts={"train": 8, "val": 5})
    for split, kept in (("train", {"a": 3, "b": 8, "c": 6}), ("val", {"a": 5, "b": 2, "c": 4})):
        for name, count in kept.items():
            for path in sorted((root / split / name).iterdir())[count:]:
                path.unlink()
    return root


def judged(folder, root, split):
    """Labels, and probabilities of the best checkpoint, of all images of a split."""
    paths = sorted(path for path in (root / split).rglob("*") if path.is_file())
    classifier = load_classifier(folder / "checkpoints/best.ckpt")
    images = torch.from_numpy(np.stack([decode(path.read_bytes(), image_size=32, channels=1) for path in paths]))
    with torch.no_grad():
        p = probabilities(classifier(images), classifier.loss).numpy().astype(float)
    return np.array(["abc".index(path.parent.name) for path in paths]), p


def only_row(folder):
    (row,) = csv.DictReader((folder / "history.csv").open())
    return {name: float(value) for name, value in row.items()}


@pytest.mark.parametrize("loss", ["default", "one_vs_rest"])
def test_training_and_validation_of_an_epoch_are_over_all_their_images(uneven, train, loss):
    # 17 images in batches of 4: the last is of a single one.
    result = train(*SMALL, "data=folder", f"data.root={uneven}", STILL, f"loss={loss}")
    row = only_row(result.folder)
    for split in ("train", "val"):
        labels, p = judged(result.folder, uneven, split)
        kind = "cross_entropy" if loss == "default" else loss
        assert row[f"{split}_loss"] == pytest.approx(by_scikit_learn(labels, p, kind), rel=1e-5)
        assert row[f"{split}_accuracy"] == pytest.approx(metrics.accuracy_score(labels, p.argmax(axis=1)))


@pytest.mark.parametrize("given", ["balanced", [1.0, 2.0, 0.5]])
def test_class_weights_are_those_given_or_of_scikit_learn_and_weigh_the_validation_loss(uneven, train, given):
    result = train(*SMALL, "data=folder", f"data.root={uneven}", f"loss.class_weights={given}".replace(" ", ""))
    of_scikit_learn = compute_class_weight("balanced", classes=np.arange(3), y=np.repeat([0, 1, 2], [3, 8, 6]))
    expected = of_scikit_learn if given == "balanced" else np.array(given)
    hparams = load_classifier(result.folder / "checkpoints/best.ckpt").hparams
    assert hparams.class_weights == pytest.approx(expected)
    labels, p = judged(result.folder, uneven, "val")
    loss = by_scikit_learn(labels, p, "cross_entropy", expected[labels])
    assert only_row(result.folder)["val_loss"] == pytest.approx(loss, rel=1e-5)
    stored = json.loads((result.folder / "metrics.json").read_text())["best"]["val"]["loss"]
    assert stored == pytest.approx(loss, rel=1e-5)


def weights_of(result):
    content = torch.load(result.folder / "checkpoints/last.ckpt", weights_only=True)
    return torch.cat([weight.flatten() for weight in content["state_dict"].values()])


def test_first_step_is_as_long_as_the_clipped_gradient_and_accumulated_batches_step_as_one(make_folder, train):
    # One batch of all images, so that an epoch is a step; of plain gradient descent, as long as lr times the gradient.
    plain = ["optimizer=sgd", "optimizer.momentum=0", "optimizer.nesterov=false", "data=folder"]
    images = f"data.root={make_folder(counts={'train': 6, 'test': 4})}"

    def trained(*overrides):
        result = train(*SMALL, *plain, images, *overrides)
        assert result.status == 0, result.err
        return weights_of(result)

    start, step = trained("batch_size=12", STILL), trained("batch_size=12", "lr=1.0")
    clipped = trained("batch_size=12", "lr=1.0", "trainer.gradient_clip=0.01")
    assert (step - start).norm() > 0.02
    assert (clipped - start).norm().item() == pytest.approx(0.01, rel=1e-3)
    accumulated = trained("batch_size=4", "lr=1.0", "trainer.accumulate=3")
    assert (accumulated - step).norm() < 1e-4 * (step - start).norm()


def schedule_of(name, total_steps, **options):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    return build_schedule(read_part("scheduler", read_conf(f"scheduler/{name}") | options), optimizer, total_steps)


def rates(schedule, val_losses):
    """The rate of each epoch, from the first on."""
    found = []
    for loss in val_losses:
        found.append(schedule.optimizer.param_groups[0]["lr"])
        schedule.optimizer.step()
        step_schedule(schedule, loss)
    return found


def test_cosine_is_equation_5_of_loshchilov_and_hutter():
    found = rates(schedule_of("cosine", 8, min_lr=0.02), [1.0] * 9)
    assert found == pytest.approx([0.02 + 0.5 * (0.1 - 0.02) * (1 + np.cos(np.pi * t / 8)) for t in range(9)])


def test_plateau_waits_for_the_validation_loss():
    found = rates(schedule_of("plateau", 8, patience=1, factor=0.5), [3.0, 2.0, 2.5, 2.4, 1.0, 1.5, 1.6, 0.5])
    assert found == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025])


ONE_CYCLE = "torch.optim.lr_scheduler.OneCycleLR"


@pytest.mark.parametrize(
    ("length", "total"), [({}, 12), ({"total_steps": 30}, 30), ({"epochs": 5, "steps_per_epoch": 4}, 20)]
)
def test_own_schedule_is_as_long_as_the_run_unless_its_arguments_say_otherwise(length, total):
    own = schedule_of("own", 12, _target_=ONE_CYCLE, args={"max_lr": 1.0, **length}, interval="batch")
    assert own.total_steps == total
    own.optimizer.step()
    step_schedule(own, float("nan"))
    assert own.last_epoch == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau", "interval": "batch"}, "scheduler.interval: found"),
        ({"_target_": "copy.copy"}, "scheduler: copy.copy returned SGD, expected a schedule"),
    ],
)
def test_own_schedule_that_cannot_be_stepped_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        schedule_of("own", 12, args={}, **options)
