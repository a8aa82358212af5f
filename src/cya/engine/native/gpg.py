"""The gpg program, for what our own OpenPGP cannot do: public keys, signatures, and messages of any kind."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO

from cya.engine import environment
from cya.engine.duplicity_errors import KEY_NEEDED, Failure, explain
from cya.engine.native import signed_by
from cya.engine.protocol import Encryption
from cya.errors import CyaError, EngineError, MissingProgram

_ALWAYS = ("--batch", "--no-tty", "--quiet", "--pinentry-mode=loopback", "--trust-model=always")
_OPENING = 1200
"""Bytes that a session key for one recipient takes at most (RSA with 8192 bits)."""
_SIGNATURE = 2048
"""Bytes for a signature and what else opens and closes a message, at most."""
_PIECE = 1 << 18
_STATUS = 1 << 16
"""Bytes of gpg's status lines that are looked at."""


class Gpg:
    """Runs gpg with an environment made from nothing.

    :ivar signers: keys by one of which what is decrypted has to be signed; none: no signature is looked at.
    """

    def __init__(self, temporary: Path, home: Path | None, signers: Collection[str] = ()) -> None:
        """Take note of where things are.

        :param home: gpg's directory, if it is not the usual one.
        """
        self._temporary, self._home, self.signers = temporary, home, signers

    @contextmanager
    def decrypting(self, path: Path, passphrase: str | None, way_out: str = KEY_NEEDED) -> Iterator[BinaryIO]:
        """Yield what a message says, as a stream. When the block ends well the rest of it is read, too.

        Nothing of it may be trusted before that: the message's check, and its signature, come last.

        :raises DecryptionFailed: on a wrong passphrase, a missing secret key, or the signature of another.
        :raises IntegrityError: when the file is damaged.
        """
        with (
            tempfile.TemporaryFile(dir=self._temporary) as status,
            self._decrypting(path, passphrase, status) as (process, stderr),
        ):
            assert process.stdout is not None  # noqa: S101 asked for
            is_read = False
            try:
                yield process.stdout  # type: ignore[misc]
                while process.stdout.read(_PIECE):
                    pass  # gpg takes it ill when nobody wants the rest
                is_read = True
            finally:
                process.stdout.close()
                code = process.wait()
                # Below zero it may be our own closing of the pipe, and why we did is what matters.
                if is_read or code > 0:
                    if self.signers:
                        self._check_signer(status, path, code)
                    if code:
                        raise self.error(f"reading of {path.name}", code, stderr, way_out)

    def _check_signer(self, status: IO[bytes], path: Path, code: int) -> None:
        status.seek(0)
        said = status.read(_STATUS)
        if b"DECRYPTION_OKAY" in said or not code:  # else there is nothing yet that could be signed
            signed_by.check(said, self.signers, path.name)

    @contextmanager
    def _decrypting(
        self, path: Path, passphrase: str | None, status: IO[bytes]
    ) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
        # Who restores need not have the key of the client that signed: where nobody asks, it is not looked for.
        looking = f"--status-fd={status.fileno()}" if self.signers else "--skip-verify"
        words = [looking, "--decrypt", "--", os.fspath(path)]
        process, stderr = self.start(words, passphrase, stdout=subprocess.PIPE, inherited=[status.fileno()])
        try:
            yield process, stderr
        finally:
            with suppress(OSError):
                process.kill()
            process.wait()
            stderr.close()

    def start(
        self,
        arguments: Sequence[str],
        passphrase: str | None,
        *,
        stdin: int | None = None,
        stdout: int | None = None,
        inherited: Sequence[int] = (),
    ) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
        """Start gpg; return the process, and the file to which it says what is wrong.

        :param inherited: descriptors that it gets, too.
        :raises MissingProgram: when gpg is not installed.
        """
        env = environment.clean(self._temporary, None, self._home)
        program = shutil.which("gpg", path=env["PATH"])
        if program is None:
            raise MissingProgram("gpg is not installed: apt-get install gnupg")
        command, secrets = [program, *_ALWAYS], list[int]()
        if passphrase is not None:
            read, write = os.pipe2(os.O_CLOEXEC)
            os.write(write, passphrase.encode("utf-8", "surrogateescape") + b"\n")
            os.close(write)
            command.append(f"--passphrase-fd={read}")
            secrets.append(read)
        stderr = tempfile.TemporaryFile(dir=self._temporary)  # noqa: SIM115 closed with the process
        try:
            process = subprocess.Popen(
                [*command, *arguments],
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=subprocess.DEVNULL if stdout is None else stdout,
                stderr=stderr,
                env=env,
                cwd=self._temporary,
                pass_fds=[*secrets, *inherited],
            )
        except OSError as error:
            stderr.close()
            raise EngineError(f"{program}: cannot be started: {error.strerror}") from error
        finally:
            for descriptor in secrets:
                os.close(descriptor)
        return process, stderr

    def error(self, doing: str, code: int, stderr: IO[bytes], way_out: str) -> CyaError:
        """Return the error for what gpg said when it failed."""
        stderr.seek(0)
        return explain(Failure("gpg", doing, code, tails=stderr.read(1 << 16).splitlines(), way_out=way_out))


class Encryptor:
    """One file that gpg encrypts.

    Without a signature, what comes in is an OpenPGP message already, compressed by us: gpg only wraps it, since its own
    deflating is slow. To be signed it has to be plain, and gpg compresses.

    :ivar overhead: bytes by which the file is larger than what came in, at most.
    """

    def __init__(self, gpg: Gpg, file: BinaryIO, encryption: Encryption) -> None:
        """Start gpg, which writes into a file."""
        self._gpg, self._name = gpg, file.name
        arguments = [f"--recipient={recipient}" for recipient in encryption.recipients]
        passphrase = None
        if encryption.sign_key:
            arguments += [f"--local-user={encryption.sign_key}", "--compress-algo=zip", "--sign"]
            passphrase = encryption.passphrase
        else:
            arguments += ["--no-literal", "--compress-algo=none"]
        self._process, self._stderr = gpg.start(
            [*arguments, "--encrypt"], passphrase, stdin=subprocess.PIPE, stdout=file.fileno()
        )
        self.overhead = _SIGNATURE + _OPENING * len(encryption.recipients)

    def write(self, data: bytes | memoryview) -> None:
        """Hand data over.

        :raises EngineError: when gpg cannot encrypt, as for want of a key.
        """
        assert self._process.stdin is not None  # noqa: S101 asked for
        try:
            self._process.stdin.write(data)
        except BrokenPipeError:
            self.close()
            raise EngineError(f"{self._name}: gpg ended before its time") from None

    def close(self) -> None:
        """Wait until the file is whole.

        :raises EngineError: when gpg could not encrypt.
        """
        assert self._process.stdin is not None  # noqa: S101 asked for
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        code = self._process.wait()
        with self._stderr as stderr:
            if code and not stderr.closed:
                raise self._gpg.error("encrypting", code, stderr, KEY_NEEDED)

    def abandon(self) -> None:
        """Stop gpg."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        self._stderr.close()
