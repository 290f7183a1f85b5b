from tests.cluster_yaml import cluster_yaml

CLUSTER = cluster_yaml(
    "name: m1, address: 127.0.0.1, privateAddress: 192.0.2.11, roles: [master, worker], ssh: {port: 9}"
)


def test_no_host_at_all_is_exit_code_5(run, tmp_path):
    file = tmp_path / "cluster.yaml"
    file.write_text(CLUSTER)
    ran = run("-f", str(file), "status")
    assert ran.code == 5
    assert "No host can be reached" in ran.err
    assert "m1" in ran.err
    assert ran.out == ""
