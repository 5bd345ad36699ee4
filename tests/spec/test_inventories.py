"""An inventory is read strictly: every mistake at its line, all in one go."""

import re
from pathlib import Path

import pytest

from harness.errors import EXIT_BAD_INPUT, SpecError
from harness.spec.cpu_list import cpus
from harness.spec.inventories import find_inventory, inventory_name, load_inventory
from harness.spec.inventory import ALL_ROLES

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
HEAD = "version: 1\ntitle: Some hosts\nhosts:\n"  # three lines
ONE = HEAD + "  one:\n    address: 192.0.2.1\n"  # what follows starts in line 6
TWO = ONE + "  two:\n"  # in line 7

BROKEN = [
    # the file
    ("empty", "", 1, "the file is empty"),
    ("a list", "- one\n", 1, "an inventory is a mapping"),
    ("duplicate key", ONE + "    port: 22\n    port: 23\n", 7, "`port` is given twice (first in line 6)"),
    ("duplicate host", ONE + "  one:\n    address: 192.0.2.2\n", 6, "`one` is given twice (first in line 4)"),
    ("no hosts", "version: 1\ntitle: none\n", 1, "`hosts` is missing"),
    ("empty hosts", "version: 1\ntitle: none\nhosts: {}\n", 3, "`hosts` is empty"),
    ("hosts as a list", "version: 1\ntitle: none\nhosts: [one]\n", 3, "`hosts` is a list, not a mapping"),
    ("version to come", "version: 2\ntitle: none\nhosts: {a: {address: b}}\n", 1, "`version` is `2`; write `1`"),
    ("slip at the top", "version: 1\ntitle: x\nknownhosts: y\n" + ONE[len(HEAD) - 7 :], 3, "did you mean `known_hosts`?"),
    # a host
    ("no address", HEAD + "  one:\n    port: 22\n", 4, "`address` is missing in `hosts.one`"),
    ("slip in a key", ONE + "    adress: 192.0.2.2\n", 6, "unknown key `adress` in `hosts.one`; did you mean `address`?"),
    ("unknown key", ONE + "    password: hunter2\n", 6, "unknown key `password` in `hosts.one`; known here: `address`"),
    ("upper case", HEAD + "  One:\n    address: 192.0.2.1\n", 4, "`One` is no host's name; write lower-case"),
    ("dash first", HEAD + "  -one:\n    address: 192.0.2.1\n", 4, "`-one` is no host's name"),
    ("a path", HEAD + "  a/b:\n    address: 192.0.2.1\n", 4, "`a/b` is no host's name"),
    ("user in the address", HEAD + "  one:\n    address: me@192.0.2.1\n", 5, "`me@192.0.2.1`, no host's address; write a name"),
    ("port in the address", HEAD + "  one:\n    address: web:2222\n", 5, "no host's address"),
    ("option for an address", HEAD + "  one:\n    address: -oProxyCommand=x\n", 5, "no host's address"),
    ("beyond 255", HEAD + "  one:\n    address: 10.0.0.300\n", 5, "`10.0.0.300`, no host's address"),
    ("port 0", ONE + "    port: 0\n", 6, "`hosts.one.port` is too small (`0`); write a number that is at least 1"),
    ("port too large", ONE + "    port: 70000\n", 6, "`hosts.one.port` is too large"),
    ("quoted port", ONE + '    port: "22"\n', 6, "write it without quotes: `22`"),
    ("data is a name", ONE + "    data: web.example\n", 6, "`data` is `web.example`, not an IP address"),
    ("data with a scope", ONE + "    data: fe80::1%eth0\n", 6, "`data` is `fe80::1%eth0`, not an IP address; write the IP address that the other hosts reach"),
    ("data with a rule of a firewall", ONE + '    data: "fe80::1%e0\\n-I INPUT -j ACCEPT"\n', 6, "not an IP address"),
    ("address with a rule of a firewall", HEAD + '  one: {address: "fe80::1%e0\\n-I INPUT -j ACCEPT"}\n', 4, "no host's address"),
    ("data of any host", ONE + "    data: 0.0.0.0\n", 6, "the address that stands for any"),
    ("data of any host in IPv6", ONE + '    data: "::"\n', 6, "the address that stands for any"),
    ("data of many hosts", ONE + "    data: 224.0.0.7\n", 6, "an address of many hosts"),
    ("data of many hosts in IPv6", ONE + "    data: ff02::1\n", 6, "an address of many hosts"),
    ("data of all hosts", ONE + "    data: 255.255.255.255\n", 6, "an address of many hosts"),
    ("data of a link", ONE + "    data: fe80::1\n", 6, "reached with a scope only"),
    ("data in another spelling", ONE + "    data: FD00:0::2\n", 6, "not that address's usual spelling; write `fd00::2`"),
    ("data of IPv4 as IPv6", ONE + '    data: "::ffff:10.0.0.2"\n', 6, "write `10.0.0.2`"),
    ("user with a blank", ONE + "    user: me too\n", 6, "`user` is `me too`, no user's name"),
    ("key that is not there", ONE + "    key: absent\n", 6, "`key` is `absent`, and there is no such file"),
    ("jump with a path", ONE + "    jump: ssh://bastion/x\n", 6, "`jump` is `ssh://bastion/x`, no way to a host"),
    ("jump to port x", ONE + "    jump: me@bastion:x\n", 6, "write `[user@]host[:port]`"),
    ("unknown role", ONE + "    roles: [servers]\n", 6, "`servers`, which is not one of"),
    ("no role", ONE + "    roles: []\n", 6, "`hosts.one.roles` is empty"),
    ("a role twice", ONE + "    roles: [server, client, server]\n", 6, "`roles` is a list that names a role twice"),
    ("cores backwards", ONE + "    cores: 7-2\n", 6, "`cores`: `7-2` is no list of CPUs; write numbers and ranges"),
    ("cores in words", ONE + "    cores: all\n", 6, "`all` is no list of CPUs"),
    ("cores as a number", ONE + "    cores: 3\n", 6, 'quote it to make it text: "3"'),
    ("price below nothing", ONE + "    price_per_hour: -1\n", 6, "`hosts.one.price_per_hour` is too small (`-1`)"),
    ("price without end", ONE + "    price_per_hour: .inf\n", 6, "`hosts.one.price_per_hour`"),
    ("label as a number", ONE + "    labels: {cpus: 8}\n", 6, 'quote it to make it text: "8"'),
    ("power as a line", ONE + "    power: {kill: reboot -f}\n", 6, "`reboot -f`, not a list"),
    # hosts together
    ("a place twice", TWO + "    address: 192.0.2.1\n    port: 22\n", 7, "`two` has the address and port of `one`"),
    ("data twice", TWO.replace("192.0.2.1\n", "192.0.2.1\n    data: 10.0.0.1\n") + "    address: 192.0.2.2\n    data: 10.0.0.1\n", 9, "`two` has the `data` address of `one`"),
    ("a place in two spellings", HEAD + "  one: {address: 'fd00::2'}\n  two: {address: 'FD00:0::2'}\n", 5, "`two` has the address and port of `one`"),
    ("data in two spellings", HEAD + "  one: {address: a, data: 'fd00::2'}\n  two: {address: b, data: 'fd00:0::2'}\n", 5, "`two` has the `data` address of `one`"),
    ("data that stays with the sender", TWO + "    address: 192.0.2.2\n    data: 127.0.0.1\n", 8, "`data` is `127.0.0.1`, at which each host reaches itself"),
    ("data that stays with the sender in IPv6", TWO + "    address: 192.0.2.2\n    data: '::1'\n", 8, "at which each host reaches itself"),
    ("data of another's address", TWO + "    address: 192.0.2.2\n    data: 192.0.2.1\n", 8, "the `data` address of `two` is the `address` of `one`"),
    ("data of a later one's address", HEAD + "  one: {address: a, data: 192.0.2.2}\n  two: {address: 192.0.2.2, data: 10.0.0.2}\n", 4, "the `data` address of `one` is the `address` of `two`"),
    ("data of another port's address", HEAD + "  one: {address: a, data: 192.0.2.2}\n  two: {address: 192.0.2.2, port: 2222}\n", 4, "is the `address` of `two`"),
    # what no command can be given
    ("NUL in a command", ONE + '    power: {kill: [fence, "x\\0y"]}\n', 6, "has a NUL character in it; remove it"),
    ("NUL in a file's name", 'known_hosts: "a\\0b"\n' + ONE, 1, "has a NUL character in it"),
    ("NUL in a label's name", ONE + '    labels: {"a\\0b": c}\n', 6, "the key `'a\\x00b'` has a NUL character in it"),
    ("a command of nothing", ONE + '    power:\n      kill: [""]\n', 7, "`power.kill` is a command without a program"),
    ("no server", ONE + "    roles: [client]\n", 3, "no host has the role `server`"),
    ("no client", ONE + "    roles: [server, balancer]\n", 3, "no host has the role `client`"),
]  # fmt: skip


def written(folder: Path, text: str) -> Path:
    path = folder / "some.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(("text", "line", "words"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_a_mistake_is_told_at_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SpecError) as error:
        load_inventory(path)
    assert error.value.exit_code == EXIT_BAD_INPUT
    assert any(told.startswith(f"{path}:{line}: ") and words in told for told in error.value.problems), error.value


def test_all_mistakes_are_told_in_one_go(tmp_path: Path) -> None:
    text = HEAD + "  one: {address: 10.0.0.300, port: 0}\n  Two: {address: 192.0.2.1, data: x}\n  three: {adress: y}\n"
    with pytest.raises(SpecError) as error:
        load_inventory(written(tmp_path, text))
    lines = [int(re.findall(r":(\d+): ", told)[0]) for told in error.value.problems]
    assert lines == sorted(lines)
    assert set(lines) == {4, 5, 6}


def test_a_value_that_cannot_be_read_hides_no_other_mistake_of_its_host(tmp_path: Path) -> None:
    text = HEAD + "  one:\n    port: 0\n    user: me too\n    data: 224.0.0.1\n  two:\n    data: 224.0.0.2\n  t!: [x]\n"
    with pytest.raises(SpecError) as error:
        load_inventory(written(tmp_path, text))
    told = [re.sub(r"^.*?:(\d+): ([^;]*);.*$", r"\1 \2", line) for line in error.value.problems]
    assert told == [
        "4 `address` is missing in `hosts.one`",
        "5 `hosts.one.port` is too small (`0`)",
        "6 `user` is `me too`, no user's name",
        "7 `data` is `224.0.0.1`, an address of many hosts",
        "8 `address` is missing in `hosts.two`",
        "9 `data` is `224.0.0.2`, an address of many hosts",
        "10 `hosts.t!` is a list, not a mapping",
        "10 `t!` is no host's name",
    ]


def test_what_cannot_be_read_makes_no_mistakes_of_its_own(tmp_path: Path) -> None:
    text = HEAD + "  one: {address: a, port: x}\n  two: {address: a, port: y}\n  three: {roles: 7}\n  four: [b]\n"
    with pytest.raises(SpecError) as error:
        load_inventory(written(tmp_path, text))
    assert len(error.value.problems) == 5  # two ports, an address, roles, a list


def test_an_address_at_which_a_router_forwards_to_another_host_is_the_routers_own(tmp_path: Path) -> None:
    text = (
        HEAD
        + "  router: {address: 10.0.0.1, data: 192.0.2.1}\n  two: {address: 192.0.2.1, port: 2222, data: 10.0.0.2}\n"
    )
    assert load_inventory(written(tmp_path, text)).hosts["router"].data == "192.0.2.1"


def test_one_host_alone_may_have_a_data_address_that_stays_with_it(tmp_path: Path) -> None:
    assert load_inventory(written(tmp_path, ONE + "    data: 127.0.0.2\n")).hosts["one"].data == "127.0.0.2"


def test_hosts_that_say_little_are_for_everything(tmp_path: Path) -> None:
    inventory = load_inventory(written(tmp_path, ONE))
    host = inventory.hosts["one"]
    assert (host.roles, host.user, host.port, host.price_per_hour) == (ALL_ROLES, None, None, None)
    assert inventory.known_hosts == "known_hosts"


def test_one_address_with_two_ports_or_behind_two_jump_hosts_is_two_hosts(tmp_path: Path) -> None:
    text = TWO + "    address: 192.0.2.1\n    port: 2222\n  three:\n    address: 192.0.2.1\n    jump: me@192.0.2.9:22\n"
    assert list(load_inventory(written(tmp_path, text)).hosts) == ["one", "two", "three"]


def test_a_key_lies_relative_to_the_inventory(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "one").write_text("")
    assert load_inventory(written(tmp_path, ONE + "    key: keys/one\n")).hosts["one"].key == "keys/one"


def test_the_example_of_a_cloud_loads() -> None:
    inventory = load_inventory(EXPERIMENTS / "hosts" / "cloud.example.yaml")
    assert sum("server" in host.roles for host in inventory.hosts.values()) == 3


@pytest.mark.parametrize(("text", "numbers"), [("2-4,7", (2, 3, 4, 7)), ("0", (0,)), ("3, 1-2", (1, 2, 3))])
def test_a_list_of_cpus_is_read_as_the_kernel_writes_it(text: str, numbers: tuple[int, ...]) -> None:
    assert cpus(text) == numbers


def test_an_inventory_is_found_by_name_and_by_path(tmp_path: Path) -> None:
    (tmp_path / "hosts").mkdir()
    path = tmp_path / "hosts" / "mine.yaml"
    path.write_text(ONE)
    assert find_inventory("mine", tmp_path) == path
    assert find_inventory(str(path), Path("/nowhere")) == path
    assert (inventory_name(path, tmp_path), inventory_name(path, EXPERIMENTS)) == ("mine", str(path))


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("mime", "did you mean `mine`?"),
        ("zebra-7", "there are: `mine`"),
        ("..", "there are: `mine`"),
        ("no/such.yaml", "no/such.yaml: there is no such inventory"),
    ],
)
def test_an_inventory_that_is_not_there_is_told_with_those_that_are(tmp_path: Path, word: str, told: str) -> None:
    (tmp_path / "hosts").mkdir()
    (tmp_path / "hosts" / "mine.yaml").write_text(ONE)
    with pytest.raises(SpecError, match=re.escape(told)):
        find_inventory(word, tmp_path)


def test_no_inventory_at_all_points_to_the_documentation(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"docs/hosts\.md"):
        find_inventory("mine", tmp_path)
