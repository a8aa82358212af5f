"""The client's config: what it takes, and how it says what is wrong with it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec
import pytest

from cya.config.address import SftpAddress
from cya.config.client import ClientConfig, default_cache_dir, load, read_passphrase
from cya.config.selection import SelectionConfig
from cya.config.sftp import SftpConfig
from cya.errors import ConfigError
from tests.config.conftest import Write

TOP = 'source = "/home"\narchive = "/mnt/backup/web1"\n'
NONE = "[encryption]\nnone = true\n"
MINIMAL = TOP + NONE
KEY_ID = "0123456789ABCDEF0123456789ABCDEF01234567"

FULL = f"""
source = "/"
archive = "sftp://web1@backup.example:2222"
engine = "native"
duplicity = "/usr/bin/duplicity"
volume_size = 50
cache_dir = "/srv/cache"
gnupg_home = "/root/.gnupg"
[encryption]
recipients = ["{KEY_ID}"]
passphrase_file = "secret/key.passphrase"
[selection]
patterns = ["+ /home/*/keep", "- /proc"]
one_file_system = true
exclude_caches = true
exclude_if_present = [".nobackup"]
"""


def refused(path: Path) -> str:
    """Return the message, without the file's path at its beginning."""
    with pytest.raises(ConfigError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def test_every_key_is_read(write: Write, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    write("open sesame\n", "secret/key.passphrase")
    config = load(write(FULL))
    assert config.path == tmp_path / "web1.toml"
    assert config.name == "web1"
    assert config.source == Path("/")
    assert config.location == SftpAddress("web1", "backup.example", 2222)
    assert (config.engine, config.duplicity, config.volume_size) == ("native", "/usr/bin/duplicity", 50)
    assert (config.cache_dir, config.gnupg_home) == (Path("/srv/cache"), Path("/root/.gnupg"))
    assert config.encryption.recipients == (KEY_ID,)
    assert read_passphrase(config) == "open sesame"
    assert config.selection == SelectionConfig(
        patterns=("+ /home/*/keep", "- /proc"),
        one_file_system=True,
        exclude_caches=True,
        exclude_if_present=(".nobackup",),
    )


def test_what_is_not_set_has_its_default(write: Write) -> None:
    config = load(write(MINIMAL), environ={"XDG_CACHE_HOME": "/xdg"})
    assert config.location == Path("/mnt/backup/web1")
    assert (config.engine, config.duplicity, config.volume_size) == ("native", "duplicity", 200)
    assert config.cache_dir == Path("/var/cache/cya/web1" if os.geteuid() == 0 else "/xdg/cya/web1")
    assert config.gnupg_home is None
    assert config.selection == SelectionConfig()
    assert read_passphrase(config) is None


HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVhoq0PaYPrzuGXHg5YWtjYq2nP0hTMTJx3L8hLbbHi"


def test_the_way_to_an_archive_host_is_read(write: Write, tmp_path: Path) -> None:
    assert load(write(MINIMAL)).sftp == SftpConfig()
    table = f'''
[sftp]
identity_file = "web1.key"
host_key = "{HOST_KEY}"
rate_limit = 500
give_up_after = 1.5
options = ["ConnectTimeout=5", "ProxyJump=gate"]
'''
    read = load(write(MINIMAL + table)).sftp
    assert read.identity_file == tmp_path / "web1.key", "relative to the config's directory"
    assert (read.host_key, read.rate_limit, read.give_up_after) == (HOST_KEY, 500, 1.5)
    assert read.options == ("ConnectTimeout=5", "ProxyJump=gate")
    assert load(write(MINIMAL + f'[sftp]\nhost_key = "{HOST_KEY} root@archive"\ngive_up_after = 2\n')).sftp.host_key


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('identity_file = ""', "sftp.identity_file: expected the name of a file"),
        ('host_key = "ssh-ed25519"', "sftp.host_key: expected a host key as TYPE BASE64"),
        (f'host_key = "[archive]:2222 {HOST_KEY}"', "sftp.host_key: expected a host key as TYPE BASE64, without the h"),
        (f'host_key = "{HOST_KEY.replace("ssh-ed25519", "ssh-rsa")}"', "sftp.host_key: expected a host key as TYPE"),
        (f'host_key = "{HOST_KEY}\\n* {HOST_KEY}"', "sftp.host_key: expected a host key as TYPE BASE64"),
        ("rate_limit = -1", "sftp.rate_limit: expected an integer from 0 to 1000000 (KiB/s), found -1"),
        ("give_up_after = -1", "sftp.give_up_after: expected a number of minutes from 0 to 10000, found -1"),
        ("give_up_after = nan", "sftp.give_up_after: expected a number of minutes"),
        ('options = ["-oBatchMode=no"]', "sftp.options: expected a list of ssh's options, Name=value each"),
        ('options = ["ConnectTimeout"]', "sftp.options: expected a list of ssh's options, Name=value each"),
        ('options = ["ConnectTimeout=1\\nPort=1"]', "sftp.options: expected a list of ssh's options"),
        ('options = ["stricthostkeychecking=no"]', "sftp.options: stricthostkeychecking is set by cya itself"),
        ('options = ["ControlPath=/tmp/x"]', "sftp.options: ControlPath is set by cya itself"),
    ],
)
def test_a_mistake_about_the_archive_host_is_refused(write: Write, line: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        load(write(f"{MINIMAL}[sftp]\n{line}\n"))


def test_a_relative_path_of_the_config_is_completed(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write(MINIMAL).parent)
    assert load(Path("web1.toml")).path == Path.cwd() / "web1.toml"


@pytest.mark.parametrize(
    ("environ", "uid", "expected"),
    [
        ({"XDG_CACHE_HOME": "/xdg", "HOME": "/root"}, 0, "/var/cache/cya/web1"),
        ({"XDG_CACHE_HOME": "/xdg", "HOME": "/home/me"}, 1000, "/xdg/cya/web1"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/home/me"}, 1000, "/home/me/.cache/cya/web1"),
        ({"HOME": "/home/me"}, 1000, "/home/me/.cache/cya/web1"),
        ({}, 65534, "/nonexistent/.cache/cya/web1"),
    ],
)
def test_default_cache_directory(environ: dict[str, str], uid: int, expected: str) -> None:
    assert default_cache_dir(Path("/etc/cya/web1.toml"), environ, uid) == Path(expected)


def test_a_user_without_home_has_to_set_the_cache_directory() -> None:
    with pytest.raises(
        ConfigError, match=r"/etc/web1\.toml: cache_dir: uid 4123456 has no home directory; set cache_dir"
    ):
        default_cache_dir(Path("/etc/web1.toml"), {}, 4123456)


def test_a_leading_double_slash_is_one_slash(write: Write) -> None:
    config = load(write(f'source = "//home/x"\narchive = "//mnt/b"\n{NONE}'))
    assert (str(config.source), str(config.location)) == ("/home/x", "/mnt/b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            TOP + 'volume_size = "big"\n' + NONE,
            'volume_size: expected an integer from 1 to 100000 (MiB), found "big"',
        ),
        (TOP + "volume_size = 0\n" + NONE, "volume_size: expected an integer from 1 to 100000 (MiB), found 0"),
        (
            TOP + "volume_size = 100001\n" + NONE,
            "volume_size: expected an integer from 1 to 100000 (MiB), found 100001",
        ),
        (TOP + "volume_size = true\n" + NONE, "volume_size: expected an integer from 1 to 100000 (MiB), found true"),
        (TOP + "volume_size = 2.5\n" + NONE, "volume_size: expected an integer from 1 to 100000 (MiB), found 2.5"),
        (
            TOP + "volume_size = 2026-11-23\n" + NONE,
            "volume_size: expected an integer from 1 to 100000 (MiB), found 2026-11-23",
        ),
        (TOP + "volume_sise = 1\n" + NONE, "volume_sise: unknown key; did you mean volume_size?"),
        (TOP + 'path = "/x"\n' + NONE, "path: unknown key; the keys here are source, archive, "),
        (TOP + '"a\\nb" = 1\n' + NONE, '"a\\nb": unknown key; the keys here are '),
        (MINIMAL + 'passphrase = "secret"\n', "encryption.passphrase: unknown key; did you mean passphrase_file?"),
        (MINIMAL + "[selection]\npattern = []\n", "selection.pattern: unknown key; did you mean patterns?"),
        ('archive = "/mnt"\n' + NONE, "source: missing; expected an absolute directory"),
        ('source = "/"\n' + NONE, "archive: missing; expected an absolute directory (not /), or sftp://"),
        (TOP, "encryption: missing; expected exactly one of passphrase_file, recipients, and none = true"),
        (TOP + "encryption = 3\n", "encryption: expected exactly one of passphrase_file, recipients, and none = true"),
        (TOP + "[encryption]\n", "encryption: expected exactly one of "),
        (TOP + "[encryption]\nnone = false\n", "encryption: expected exactly one of "),
        (TOP + "[encryption]\nrecipients = []\n", "encryption: expected exactly one of "),
        (MINIMAL + 'passphrase_file = "p"\n', "encryption: expected exactly one of "),
        (MINIMAL + f'recipients = ["{KEY_ID}"]\n', "encryption: expected exactly one of "),
        (TOP + "[encryption]\nnone = 1\n", "encryption.none: expected true or false, found 1"),
        (TOP + '[encryption]\npassphrase_file = ""\n', "encryption.passphrase_file: expected the name of a file, "),
        (
            TOP + '[encryption]\npassphrase_file = "\\u0000"\n',
            "encryption.passphrase_file: expected the name of a file",
        ),
        (TOP + '[encryption]\nrecipients = ["me"]\n', "encryption.recipients: expected a list of gpg key ids or "),
        (TOP + '[encryption]\nrecipients = ["DEADBEEF"]\n', "encryption.recipients: expected a list of gpg key ids "),
        (TOP + f'[encryption]\nrecipients = "{KEY_ID}"\n', "encryption.recipients: expected a list of gpg key ids or "),
        (f'source = "home"\narchive = "/mnt"\n{NONE}', 'source: expected an absolute directory, found "home"'),
        (f'source = ""\narchive = "/mnt"\n{NONE}', 'source: expected an absolute directory, found ""'),
        (f'source = "/a/../b"\narchive = "/mnt"\n{NONE}', 'source: expected an absolute directory, found "/a/../b"'),
        (f'source = "/a\\u0000"\narchive = "/mnt"\n{NONE}', "source: expected an absolute directory, found "),
        (f'source = ["/a"]\narchive = "/mnt"\n{NONE}', 'source: expected an absolute directory, found ["/a"]'),
        (
            f'source = [["/a"]]\narchive = "/mnt"\n{NONE}',
            "source: expected an absolute directory, found a list of lists",
        ),
        (f'archive = "/mnt"\n{NONE}[source]\nx = 1\n', "source: expected an absolute directory, found a table"),
        (f'source = "/home"\narchive = "/home"\n{NONE}', "archive: /home is or holds the source /home, and would "),
        (f'source = "/home/x"\narchive = "/home"\n{NONE}', "archive: /home is or holds the source /home/x, and would "),
        (TOP + 'engine = "tar"\n' + NONE, 'engine: expected "native" or "duplicity", found "tar"'),
        (TOP + 'duplicity = ""\n' + NONE, "duplicity: expected the name of a program in PATH, or its absolute path"),
        (TOP + 'duplicity = "bin/duplicity"\n' + NONE, "duplicity: expected the name of a program in PATH, or its "),
        (TOP + 'duplicity = "-x"\n' + NONE, "duplicity: expected the name of a program in PATH, or its absolute path"),
        (TOP + 'cache_dir = "cache"\n' + NONE, 'cache_dir: expected an absolute directory, found "cache"'),
        (TOP + 'gnupg_home = "~/.gnupg"\n' + NONE, 'gnupg_home: expected an absolute directory, found "~/.gnupg"'),
        (MINIMAL + "selection = 1\n", "encryption.selection: unknown key; the keys here are passphrase_file, "),
        (MINIMAL + '[selection]\npatterns = ["- /proc", 3]\n', "selection.patterns: expected a list of lines of Dup"),
        (MINIMAL + '[selection]\npatterns = [" "]\n', "selection.patterns: expected a list of lines of Duplicity's "),
        (MINIMAL + '[selection]\npatterns = ["a\\nb"]\n', "selection.patterns: expected a list of lines of Duplicity"),
        (MINIMAL + '[selection]\nexclude_if_present = ["a/b"]\n', "selection.exclude_if_present: expected a list of "),
        (MINIMAL + '[selection]\nexclude_if_present = [""]\n', "selection.exclude_if_present: expected a list of file"),
        (
            MINIMAL + '[selection]\none_file_system = "no"\n',
            'selection.one_file_system: expected true or false, found "',
        ),
    ],
)
def test_a_mistake_is_refused_by_key_and_expectation(write: Write, text: str, message: str) -> None:
    assert refused(write(text)).startswith(message)


def test_a_long_value_is_shortened_in_the_message(write: Write) -> None:
    assert len(refused(write(f'engine = "{"x" * 500}"\n' + MINIMAL))) < 150


def test_a_missing_passphrase_file_is_named_with_its_key(write: Write, tmp_path: Path) -> None:
    path = write(TOP + '[encryption]\npassphrase_file = "web1.passphrase"\n')
    assert refused(path) == f"encryption.passphrase_file: {tmp_path}/web1.passphrase: there is no such file"


def test_a_passphrase_file_open_to_others_is_refused(write: Write, tmp_path: Path) -> None:
    write("secret\n", "p", mode=0o640)
    path = write(TOP + '[encryption]\npassphrase_file = "p"\n')
    assert refused(path) == (
        f"encryption.passphrase_file: {tmp_path}/p: group or others may read or write it (mode 0640); "
        f"run: chmod 600 {tmp_path}/p"
    )


def test_an_absolute_passphrase_file_is_taken_as_it_is(write: Write, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    secret = write("s\n", "elsewhere/p")
    config = load(write(TOP + f'[encryption]\npassphrase_file = "{secret}"\n'))
    assert config.encryption.passphrase_file == secret


def test_a_config_by_a_symbolic_link_takes_its_name_and_directory_from_the_link(write: Write, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    real = write(TOP + '[encryption]\npassphrase_file = "p"\n', "real/other.toml")
    write("secret\n", "p")
    link = tmp_path / "web1.toml"
    link.symlink_to(real)
    config = load(link)
    assert (config.name, config.encryption.passphrase_file) == ("web1", tmp_path / "p")


def test_the_passphrase_is_not_in_the_config(write: Write) -> None:
    write("secret-words\n", "p")
    config = load(write(TOP + '[encryption]\npassphrase_file = "p"\n'))
    assert "secret-words" not in repr(config)


def test_a_missing_config_says_how_to_make_one(tmp_path: Path) -> None:
    path = tmp_path / "web1.toml"
    assert refused(path) == f"there is no such file; make one: cya init --config {path}"


def test_the_config_cannot_be_changed_by_accident(write: Write) -> None:
    config = load(write(MINIMAL))
    with pytest.raises(AttributeError):
        config.volume_size = 1  # type: ignore[misc]


def test_only_the_path_is_not_a_key_of_the_file() -> None:
    from cya.config.keys import keys

    fields = {field.name for field in msgspec.structs.fields(ClientConfig)}
    assert fields - {key.name for key in keys(ClientConfig)} == {"path"}
