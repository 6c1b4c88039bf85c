"""A last batch of one image: part of the batch before where batch norm needs company, a batch of its own elsewhere."""

import subprocess
import sys

import pytest
from conftest import SCRIPT, TINY

from medcls.config.parts import read_part
from medcls.data.batches import EpochSampler
from medcls.engine.lone_image import takes_one_image
from medcls.models import build_network


@pytest.mark.parametrize("sizes", [[2], [5], [4, 4], [4, 5], [4, 4, 4], [4, 4, 5]])
def test_batches_are_those_without_the_rule_but_for_a_lone_last_image(sizes):
    n_images = sum(sizes)
    plain = [batch for _, batch in EpochSampler(n_images, 4, 0)]
    joined = [batch for _, batch in EpochSampler(n_images, 4, 0, join_lone=True)]
    assert [i for batch in joined for i in batch] == [i for batch in plain for i in batch]
    assert [len(batch) for batch in joined] == sizes
    assert len(EpochSampler(n_images, 4, 0, join_lone=True)) == len(joined)


@pytest.mark.parametrize(
    ("name", "image_size", "takes"), [("resnet18", 28, False), ("resnet18", 64, True), ("squeezenet1_1", 32, True)]
)
def test_net_is_asked_whether_it_trains_on_one_image(name, image_size, takes):
    net = build_network(
        read_part("model", {"family": "torchvision", "name": name, "weights": None}),
        n_outputs=2,
        in_channels=1,
        image_size=image_size,
    )
    before = {key: value.clone() for key, value in net.state_dict().items()}
    assert takes_one_image(net, in_channels=1, image_size=image_size) is takes
    assert all((value == before[key]).all() for key, value in net.state_dict().items())


def test_nets_of_the_house_keep_their_lone_image_with_batch_norm_too():
    for family, size in (("lenet", 32), ("alexnet", 32), ("vgg16", 32)):
        options = {
            "n_base": 2,
            "dense": [4],
            "dropout": 0.0,
            "batch_norm": True,
            "spatial_dropout": 0.0,
            "init": "glorot",
        }
        net = build_network(
            read_part("model", {"family": family} | options), n_outputs=2, in_channels=1, image_size=size
        )
        assert takes_one_image(net, in_channels=1, image_size=size)


@pytest.mark.slow
def test_resnet_trains_on_one_image_more_than_fits_its_batches(train, make_folder):
    root = make_folder(counts={"train": 5, "test": 4})
    (root / "train/a/0.jpg").unlink()  # 9 images in batches of 4
    words = ["model=torchvision", "model.name=resnet18", *(word for word in TINY[2:] if "image_size" not in word)]
    result = train(*words, "image_size=28", "epochs=1", "logger=none", "data=folder", f"data.root={root}")
    assert result.status == 0, result.err
    assert "the last of 9 training images joins the batch before it" in result.out


@pytest.mark.slow  # without a home, matplotlib lists the fonts anew
def test_without_a_home_folder_it_works(make_folder, tmp_path):
    code = (
        "import os, pwd, sys\nos.environ.pop('HOME', None)\nos.environ.pop('MEDCLS_CACHE', None)\n"
        "def none(uid): raise KeyError(uid)\npwd.getpwuid = none\nos.environ['USER'] = 'x'\n"
        f"sys.argv[0] = {str(SCRIPT)!r}\nfrom medcls.cli import command\ncommand('train', sys.argv[1:], 'train')\n"
    )
    words = [*TINY, "epochs=1", "logger=none", "data=folder", f"data.root={make_folder()}"]
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "this user has no home folder: decoded images are kept for this command alone" in done.stdout
