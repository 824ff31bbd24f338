"""`similitude data list`."""

from similitude.data import available


def test_data_list(cli):
    ran = cli("data", "list")
    assert ran.code == 0
    for entry in available():
        assert entry.name in ran.out
    assert cli("data", "list", "--json").json == {"data": [entry.to_dict() for entry in available()]}
