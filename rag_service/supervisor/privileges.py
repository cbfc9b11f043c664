"""Running a program as an ordinary user when we are root: PostgreSQL refuses user id 0, and rightly so.

The state folder belongs to root with mode 0700, so that user could not even reach its own data folder in
it. It is therefore given one capability, to pass through folders it could not read, and nothing else.
"""

import os
import pwd
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rag_service.errors import ConfigurationError

# Numbers from linux/capability.h. A container may lack the first, which is the narrower one.
_PASSING_FOLDERS = {"dac_read_search": 2, "dac_override": 1}
_CAP_SETPCAP = 8


@dataclass(frozen=True)
class Account:
    """An ordinary user, by number."""

    uid: int
    gid: int

    @classmethod
    def for_folder(cls, folder: Path) -> "Account | None":
        """Who must run a program that insists on owning `folder`; None if we can do that ourselves.

        For root it is the owner of the folder, or `nobody` where there is no folder yet.
        """
        if os.geteuid() != 0:
            return None
        if folder.exists() and (owner := folder.stat()).st_uid != 0:
            return cls(owner.st_uid, owner.st_gid)
        nobody = pwd.getpwnam("nobody")
        return cls(nobody.pw_uid, nobody.pw_gid)

    def take(self, folder: Path) -> None:
        """Make this user the owner of `folder` and of all that is in it.

        Raises:
            ConfigurationError: this root may not do that, as in a container without capabilities.
        """
        try:
            for parent, _, files in os.walk(folder):
                os.chown(parent, self.uid, self.gid)
                for name in files:
                    os.chown(Path(parent, name), self.uid, self.gid, follow_symlinks=False)
        except PermissionError as error:
            raise ConfigurationError(
                "PostgreSQL refuses to run as root, and this root may not hand its data to another user. Run this "
                "as an ordinary user, or set DATABASE_URL."
            ) from error

    def command(self, command: Sequence[str], death_signal: signal.Signals) -> list[str]:
        """`command`, run as this user by root, and sent `death_signal` when its parent ends.

        The kernel forgets a death signal when the user id changes: it has to be set after that.

        Raises:
            ConfigurationError: the program that does this is not installed.
        """
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            raise ConfigurationError(
                "PostgreSQL refuses to run as root, and `setpriv` is not installed. Install util-linux, or run "
                "this as an ordinary user, or set DATABASE_URL."
            )
        return [
            setpriv,
            *("--reuid", str(self.uid), "--regid", str(self.gid), "--clear-groups"),
            *_capability_options(_bounding_set()),
            *("--pdeathsig", death_signal.name.removeprefix("SIG")),
            "--",
            *command,
        ]


def _capability_options(bounding: int) -> list[str]:
    name = next((name for name, bit in _PASSING_FOLDERS.items() if bounding >> bit & 1), None)
    if name is None:
        return []
    options = ["--inh-caps", f"-all,+{name}", "--ambient-caps", f"+{name}"]
    if bounding >> _CAP_SETPCAP & 1:
        # Without this, access(2) ignores capabilities, and PostgreSQL, which asks it whether its own
        # programs can be run, does not find them below a folder such as /root.
        options += ["--securebits", "+no_setuid_fixup"]
    return options


def _bounding_set() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            return int(line.split()[1], 16)
    return 0
