"""Setting a client up: what is written, what is printed, and that nothing is lost or left behind."""

from __future__ import annotations

import errno
import os
import re
import shlex
import shutil
import stat
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cya.client.init import Initialised, initialise, mebibytes
from cya.config.client import ClientConfig, load, read_passphrase
from cya.config.keys import keys
from cya.errors import ConfigError
from cya.tree.levels import Calendar

KEY_ID = "0123456789ABCDEF0123456789ABCDEF01234567"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVhoq0PaYPrzuGXHg5YWtjYq2nP0hTMTJx3L8hLbbHi"
SFTP = "sftp://web1@backup.example:2222"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    return tmp_path


def init(place: Path, **options: Any) -> Initialised:
    given = {"source": place / "source", "archive": str(place / "archive"), **options}
    return initialise(place / "etc" / "cya" / "web1.toml", **given)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def everything(place: Path) -> set[Path]:
    return set(place.rglob("*"))


def refused(place: Path, match: str, **options: Any) -> None:
    """Check that it fails with this message and leaves nothing behind."""
    before = everything(place)
    with pytest.raises(ConfigError, match=match):
        init(place, **options)
    assert everything(place) == before


def test_config_and_passphrase_are_made_for_their_owner_alone_under_any_umask(place: Path) -> None:
    for umask in (0o000, 0o077, 0o277):
        before = os.umask(umask)
        try:
            made = initialise(place / f"{umask}.toml", source=place / "source", archive="/mnt/archive").made
        finally:
            os.umask(before)
        assert [mode(file) for file in made] == [0o600, 0o600]


def test_directories_that_are_missing_are_made_for_their_owner_alone(place: Path) -> None:
    init(place)
    assert [mode(place / "etc"), mode(place / "etc" / "cya")] == [0o700, 0o700]


def test_a_passphrase_of_256_bits_is_made_beside_the_config(place: Path) -> None:
    done = init(place, random=lambda count: bytes(range(count)))
    file = place / "etc" / "cya" / "web1.passphrase"
    assert done.made == (file, place / "etc" / "cya" / "web1.toml")
    assert file.read_text() == "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
    assert read_passphrase(load(done.config.path)) == file.read_text().rstrip("\n")


def test_two_clients_never_have_the_same_passphrase(place: Path) -> None:
    one = initialise(place / "a.toml", source=place / "source", archive="/mnt/a")
    two = initialise(place / "b.toml", source=place / "source", archive="/mnt/b")
    assert read_passphrase(one.config) != read_passphrase(two.config)


def test_what_is_written_is_what_was_asked_for(place: Path) -> None:
    done = init(
        place,
        archive=SFTP,
        engine="native",
        volume_size="1G",
        recipients=[KEY_ID],
        duplicity="/opt/duplicity",
        cache_dir=Path("/srv/cache"),
        gnupg_home=Path("/srv/gnupg"),
        patterns=["- /x"],
        identity_file=Path("/srv/key"),
        host_key=HOST_KEY,
    )
    config = load(done.config.path)
    assert config == done.config
    assert (config.source, config.archive, config.engine) == (place / "source", SFTP, "native")
    assert (config.volume_size, config.duplicity) == (1024, "/opt/duplicity")
    assert (config.cache_dir, config.gnupg_home) == (Path("/srv/cache"), Path("/srv/gnupg"))
    assert (config.encryption.recipients, config.encryption.passphrase_file) == ((KEY_ID,), None)
    assert config.selection.patterns == ("- /x",)
    assert (config.sftp.identity_file, config.sftp.host_key) == (Path("/srv/key"), HOST_KEY)
    assert done.made == (config.path,), "with keys that are there none is made"


def test_every_key_stands_in_the_config_under_a_comment(place: Path) -> None:
    lines = init(place).config.path.read_text().splitlines()

    def check(kind: Any) -> None:
        for key in keys(kind):
            head = f"[{key.name}]" if key.table else f"[{key.name}.NAME]" if key.tables else f"{key.name} = "
            at = next((i for i, line in enumerate(lines) if line.startswith((head, f"#{head}"))), None)
            assert at is not None, f"{key.name} is not in the file"
            assert lines[at - 1].startswith("# "), f"{key.name} has no comment"
            if key.table:
                check(key.table)

    check(ClientConfig)


def test_of_a_whole_system_the_kernels_file_systems_are_left_out(place: Path) -> None:
    config = init(place, source=Path("/")).config
    assert {"- /proc/*", "- /sys/*", "- /dev/*"} <= set(config.selection.patterns)
    assert initialise(place / "b.toml", source=Path("/"), archive="/b", patterns=[]).config.selection.patterns == ()


def test_of_a_directory_nothing_is_left_out(place: Path) -> None:
    assert init(place).config.selection.patterns == ()


def test_a_given_passphrase_file_is_used_by_its_absolute_path(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    Path("mine").write_text("open sesame\n")
    Path("mine").chmod(0o600)
    done = init(place, passphrase_file=Path("mine"))
    assert done.config.encryption.passphrase_file == place / "mine"
    assert tomllib.loads(done.config.path.read_text())["encryption"] == {"passphrase_file": str(place / "mine")}
    assert done.made == (done.config.path,)
    assert "open sesame" not in done.text
    assert str(place / "mine") in done.recovery_sheet


def test_relative_paths_are_taken_from_the_working_directory(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    done = initialise(Path("web1.toml"), source=Path("source"), archive="./archive")
    assert done.config.path == place / "web1.toml"
    assert (done.config.source, done.config.location) == (place / "source", place / "archive")


def test_an_existing_config_is_never_overwritten(place: Path) -> None:
    path = init(place).config.path
    text, secret = path.read_text(), path.with_suffix(".passphrase").read_text()
    refused(place, f"^{path}: exists already, and is never overwritten; choose another name")
    assert (path.read_text(), path.with_suffix(".passphrase").read_text()) == (text, secret)


def test_an_existing_passphrase_is_never_overwritten_and_can_be_used(place: Path) -> None:
    path = init(place).config.path
    path.unlink()
    secret = path.with_suffix(".passphrase")
    text = secret.read_text()
    refused(place, f"^{secret}: exists already, .* to use it: --passphrase-file {secret}$")
    assert secret.read_text() == text
    assert read_passphrase(init(place, passphrase_file=secret).config) == text.rstrip("\n")


@pytest.mark.parametrize("name", ["web1.toml", "web1.passphrase"])
def test_a_dangling_link_is_not_written_through(place: Path, name: str) -> None:
    (place / "etc" / "cya").mkdir(parents=True)
    (place / "etc" / "cya" / name).symlink_to(place / "target")
    refused(place, "exists already")
    assert not (place / "target").exists()


def test_a_file_that_appears_in_between_is_kept(place: Path) -> None:
    path = place / "etc" / "cya" / "web1.toml"

    def slow(count: int) -> bytes:
        return bytes(count)

    def sneak(fd: int) -> None:
        if not path.exists():
            path.write_text("theirs")
        real(fd)

    real = os.fsync
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", sneak)
        (place / "etc" / "cya").mkdir(parents=True)
        with pytest.raises(ConfigError, match="cannot be made: File exists"):
            init(place, random=slow)
    assert everything(place / "etc" / "cya") == {path}
    assert path.read_text() == "theirs"


def test_a_config_named_as_its_own_passphrase_is_refused(place: Path) -> None:
    with pytest.raises(ConfigError, match=r"name the config web1\.toml"):
        initialise(place / "web1.passphrase", source=place / "source", archive="/mnt/a")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"source": Path("/nonexistent")}, "^/nonexistent: the source is not a directory"),
        ({"source": Path("/etc/passwd")}, "^/etc/passwd: the source is not a directory"),
        ({"archive": ""}, "web1.toml: archive: expected an absolute directory"),
        ({"archive": "/"}, "web1.toml: archive: expected an absolute directory"),
        ({"archive": "web1@backup.example:/srv"}, "web1.toml: archive: expected an absolute directory"),
        ({"archive": "sftp://backup.example"}, "web1.toml: archive: expected an absolute directory"),
        ({"archive": "sftp://u:pw@backup.example"}, "web1.toml: archive: there is a password in the URL"),
        ({"engine": "tar"}, 'web1.toml: engine: expected "native" or "duplicity", found "tar"'),
        ({"volume_size": 0}, "web1.toml: volume_size: expected an integer from 1 to 100000"),
        ({"volume_size": "big"}, "volume size: expected a size such as 200M or 1G, found 'big'"),
        ({"recipients": ["me"]}, "web1.toml: encryption.recipients: expected a list of gpg key ids"),
        ({"recipients": [KEY_ID], "no_encryption": True}, "web1.toml: encryption: expected exactly one of"),
        ({"passphrase_file": Path("/p"), "no_encryption": True}, "web1.toml: encryption: expected exactly one of"),
        ({"passphrase_file": Path("/nonexistent")}, "encryption.passphrase_file: /nonexistent: there is no such file"),
        ({"passphrase_file": Path("/etc/passwd")}, "encryption.passphrase_file: /etc/passwd: group or others"),
        ({"patterns": ["a\nb"]}, "web1.toml: selection.patterns: expected a list of lines"),
        ({"archive": "/mnt/\udcff"}, "archive: not valid UTF-8"),
    ],
)
def test_a_wrong_argument_is_refused_and_nothing_is_left_behind(
    place: Path, options: dict[str, Any], match: str
) -> None:
    refused(place, match, **options)


def test_an_archive_around_the_source_is_refused(place: Path) -> None:
    refused(place, "is or holds the source", archive=str(place))


def test_names_that_are_not_utf8_are_refused(place: Path) -> None:
    os.mkdir(os.fsencode(place) + b"/\xff")
    refused(place, "^source: not valid UTF-8", source=Path(os.fsdecode(os.fsencode(place) + b"/\xff")))
    with pytest.raises(ConfigError, match="it has to be printable UTF-8"):
        initialise(place / "a\udcff.toml", source=place / "source", archive="/mnt/a")


def test_a_directory_where_nothing_may_be_written_is_told(place: Path, as_nobody: None) -> None:
    if os.getuid() == 0:
        os.seteuid(0)
    (place / "etc").mkdir(mode=0o555)
    if os.getuid() == 0:
        os.seteuid(65534)
    refused(place, f"^{place}/etc/cya: cannot be made: Permission denied")


def test_a_file_in_place_of_a_directory_is_told(place: Path) -> None:
    (place / "etc").touch()
    refused(place, f"^{place}/etc/cya: cannot be made: Not a directory")


@pytest.mark.parametrize("failing", range(1, 7))
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_stopped_at_any_write_nothing_is_left_behind(
    place: Path, monkeypatch: pytest.MonkeyPatch, failing: int, error: BaseException
) -> None:
    real, calls = os.fsync, 0

    def fsync(fd: int) -> None:
        nonlocal calls
        calls += 1
        if calls == failing:
            raise error
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    before = everything(place)
    with pytest.raises((ConfigError, KeyboardInterrupt)) as caught:
        init(place)
    assert isinstance(caught.value, KeyboardInterrupt) or "No space left on device" in str(caught.value)
    assert everything(place) == before


def test_everything_that_is_made_is_synced(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, synced = os.fsync, []

    def fsync(fd: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{fd}").removeprefix(str(place)))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    init(place)
    directory = "/etc/cya"
    files = [f"{directory}/web1.passphrase", directory, f"{directory}/web1.toml", directory]
    assert synced == ["", "/etc", *files]


def test_a_directory_that_is_a_symbolic_link_is_fine(place: Path) -> None:
    (place / "real").mkdir()
    (place / "etc").symlink_to(place / "real")
    assert init(place).config.path == place / "etc" / "cya" / "web1.toml"


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=40))
@example(name='a "quoted" \\ name\'s #[x]\n\t\x7f é 🗝')
def test_any_name_of_source_and_archive_is_read_back(place: Path, name: str) -> None:
    source = place / "source" / name
    source.mkdir(exist_ok=True)
    directory = place / "hypothesis"
    done = initialise(directory / "x.toml", source=source, archive=f"{place}/archive {name}", no_encryption=True)
    shutil.rmtree(directory)
    assert done.config.source == Path(os.path.abspath(source))
    assert done.config.location == Path(os.path.abspath(f"{place}/archive {name}"))


@pytest.mark.parametrize(
    ("text", "size"), [(200, 200), ("200", 200), ("200M", 200), ("200 MiB", 200), ("2g", 2048), ("1GB", 1024)]
)
def test_a_volume_size_is_read(text: int | str, size: int) -> None:
    assert mebibytes(text) == size


@pytest.mark.parametrize("text", ["", "M", "-1M", "1.5G", "10K", "1T", "٣M", "9" * 30])
def test_another_volume_size_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected a size such as 200M or 1G"):
        mebibytes(text)


def test_the_sheet_holds_what_a_restore_needs_and_repr_does_not(place: Path) -> None:
    done = init(place)
    secret = read_passphrase(done.config) or ""
    for needed in (secret, str(place / "source"), str(place / "archive"), "cya restore DEST", "duplicity restore"):
        assert needed in done.recovery_sheet
    assert done.text == f"{done.recovery_sheet}\n\n{done.next_steps}"
    assert secret not in repr(done)
    assert secret not in done.next_steps


def test_with_gpg_keys_the_sheet_says_to_keep_the_secret_key(place: Path) -> None:
    sheet = init(place, recipients=[KEY_ID], gnupg_home=Path("/srv/gnupg")).recovery_sheet
    assert f"gpg --homedir /srv/gnupg --armor --export-secret-keys {KEY_ID}" in sheet
    assert "gpg --import secret-key.asc" in sheet
    assert "PASSPHRASE" not in sheet


def test_without_encryption_the_sheet_asks_for_no_key(place: Path) -> None:
    sheet = init(place, no_encryption=True).recovery_sheet
    assert "encryption  none" in sheet
    assert "duplicity restore --no-encryption" in sheet
    assert "assphrase" not in sheet


def test_for_a_local_archive_the_next_step_is_the_backup(place: Path) -> None:
    steps = init(place).next_steps
    assert f"cya init-archive {place}/archive" in steps
    assert f"cya backup --config {place}/etc/cya/web1.toml" in steps
    assert "add-client" not in steps


def test_for_an_archive_host_the_next_step_is_the_admins(place: Path) -> None:
    done = init(place, archive=SFTP)
    public = (place / "etc" / "cya" / "web1.key.pub").read_text().strip()
    assert f"cya add-client web1 --key {shlex.quote(public)} --host backup.example\n" in done.next_steps
    assert f"into the table [sftp] of {done.config.path}:\n       host_key = " in done.next_steps
    assert re.search(rf"^ +\d+ 2 \* \* \* /\S+ backup --config {done.config.path}$", done.next_steps, re.MULTILINE)
    assert "cya restore DEST --from ROOT --passphrase-file FILE" in done.recovery_sheet


def test_a_key_of_its_own_is_made_for_an_archive_host(place: Path) -> None:
    done = init(place, archive=SFTP, no_encryption=True, host_key=HOST_KEY)
    key = place / "etc" / "cya" / "web1.key"
    assert done.made == (key, Path(f"{key}.pub"), done.config.path)
    assert [mode(file) for file in done.made] == [0o600] * 3
    assert done.config.sftp.identity_file == key
    assert 'identity_file = "web1.key"\n' in done.config.path.read_text()
    derived = subprocess.run(["ssh-keygen", "-y", "-f", key], capture_output=True, text=True, check=True).stdout
    assert derived.split()[:2] == Path(f"{key}.pub").read_text().split()[:2]
    assert "the archive's host key is in the config already" in done.next_steps


@pytest.mark.parametrize("name", ["web1.key", "web1.key.pub"])
def test_a_key_that_is_there_is_never_overwritten(place: Path, name: str) -> None:
    (place / "etc" / "cya").mkdir(parents=True)
    (place / "etc" / "cya" / name).write_text("precious")
    refused(place, f"{name}: exists already, and a key is never overwritten; to use it: --identity-file", archive=SFTP)
    assert (place / "etc" / "cya" / name).read_text() == "precious"


def test_keys_for_a_host_are_refused_with_a_local_archive(place: Path) -> None:
    refused(place, "are for an archive on another host", host_key=HOST_KEY)
    refused(place, "are for an archive on another host", identity_file=Path("/srv/key"))
    refused(place, "sftp.host_key: expected a host key as TYPE BASE64", archive=SFTP, host_key="rubbish")


def test_commands_are_quoted_for_the_shell(place: Path) -> None:
    done = init(place, archive=f"{place}/it's an archive; rm", no_encryption=True)
    assert f"--from '{place}/it'\"'\"'s an archive; rm'" in done.recovery_sheet


@pytest.mark.skipif(shutil.which("duplicity") is None, reason="stock duplicity is not installed")
@pytest.mark.parametrize("options", [{}, {"no_encryption": True}], ids=["passphrase", "no encryption"])
def test_the_sheets_duplicity_command_restores(place: Path, options: dict[str, Any]) -> None:
    (place / "source" / "precious.txt").write_text("precious")
    (place / "home").mkdir(mode=0o700)
    done = init(place, archive=f"{place}/the archive", **options)
    env = {"PATH": os.environ["PATH"], "HOME": str(place / "home"), "TZ": "UTC"}

    command = re.search(r"^  (duplicity restore .*)DEST$", done.recovery_sheet, re.MULTILINE)
    export = re.search(r'export PASSPHRASE=.*"', done.recovery_sheet)
    assert command
    week = re.search(r"backups/(\S+)/files", command[1])
    assert week
    leaf = Calendar().leaf(1795400000)
    assert week[1].count("/") == len(leaf) - 1, "the example has the depth of the default tree"

    files = place / "the archive" / "backups" / week[1] / "files"
    files.mkdir(parents=True)
    secret = read_passphrase(done.config)
    backup = ["duplicity", "full", str(place / "source"), f"file://{files}", *(() if secret else ("--no-encryption",))]
    subprocess.run(backup, env=env | {"PASSPHRASE": secret or ""}, check=True, capture_output=True)

    secret_file = place / "etc" / "cya" / "web1.passphrase"
    script = f"{export[0].replace('FILE', str(secret_file)) if export else ''}\n{command[1]} {place}/restored"
    subprocess.run(["sh", "-c", script], env=env, check=True, capture_output=True)
    assert (place / "restored" / "precious.txt").read_text() == "precious"
