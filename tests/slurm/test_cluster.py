"""The cluster of the tests keeps away from real ones."""

import pytest

from tests.slurm import cluster


@pytest.mark.parametrize("name", ["slurm.conf", "gres.conf", "slurmdbd.conf"])
def test_a_cluster_of_somebody_else_is_not_touched(name, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "CONFIGURATION", tmp_path)
    monkeypatch.setattr(cluster.os, "geteuid", lambda: 0)
    monkeypatch.setattr(cluster.shutil, "which", lambda _: "/usr/bin/apt-get")
    monkeypatch.setattr(cluster.socket, "gethostbyname", lambda _: "127.0.1.1")
    monkeypatch.delenv("SLURM_CONF", raising=False)
    (tmp_path / name).write_text("ClusterName=real\n")
    with pytest.raises(cluster.Unavailable, match=f"{name} is there: a cluster is in use here"):
        cluster.Cluster(tmp_path / "base")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_who_is_not_root_has_no_cluster(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster.os, "geteuid", lambda: 1000)
    with pytest.raises(cluster.Unavailable, match="only root"):
        cluster.Cluster(tmp_path)
    assert not list(tmp_path.iterdir())
