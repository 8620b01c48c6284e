"""Run a command as systemd would run it for a unit, as far as that can be done without systemd.

Usage, as root in a mount namespace of its own: as_unit.py UNIT GROUPS COMMAND...; GROUPS is a file with what
`systemd-analyze syscall-filter` prints. What it takes from the unit: user, capabilities, no new privileges, the filter of system
calls with the error it gives, no memory that is both writable and executable, address families, namespaces, folders of its own,
the rest of the files read-only, /proc, /tmp and the umask. Only the standard library: another interpreter runs it than the tests.
"""

from __future__ import annotations

import ctypes
import errno
import os
import pwd
import socket
import subprocess
import sys
from pathlib import Path

_ALLOW = 0x7FFF0000
_ERROR = 0x00050000
_EQ, _MASKED_EQ = 4, 7  # enum scmp_compare
_PROT_WRITE, _PROT_EXEC = 2, 4
_NEW_NAMESPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
_SECCOMP = ctypes.CDLL("libseccomp.so.2")
_SECCOMP.seccomp_init.restype = ctypes.c_void_p


class _Compare(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


class Filter:
    """One filter of system calls; the kernel holds a process to all that it has loaded."""

    def __init__(self, otherwise: int) -> None:
        self._filter = ctypes.c_void_p(_SECCOMP.seccomp_init(ctypes.c_uint32(otherwise)))

    def add(self, action: int, call: str, *compares: _Compare) -> None:
        number = _SECCOMP.seccomp_syscall_resolve_name(call.encode())
        if number < 0:  # of another architecture
            return
        array = (_Compare * len(compares))(*compares)
        done = _SECCOMP.seccomp_rule_add_array(self._filter, ctypes.c_uint32(action), number, len(compares), array)
        assert done == 0, (call, done)

    def load(self) -> None:
        done = _SECCOMP.seccomp_load(self._filter)
        assert done == 0, done


def read(path: Path) -> dict[str, list[str]]:
    """Return the words of each setting of [Service], those of several lines together; an empty one takes back what was before."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in path.read_text().splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            words = value.split()
            inverts = bool(words) and words[0].startswith("~")  # the sign is of the whole line
            words = [f"~{word.removeprefix('~')}" for word in words] if inverts else words
            found[key] = [*found.get(key, []), *words] if words else []
    return found


def groups(text: str) -> dict[str, list[str]]:
    """Return the groups of system calls by their names."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("@"):
            name = line.strip()
            found[name] = []
        elif line.startswith("    ") and not line.strip().startswith("#") and name:
            found[name].append(line.strip())
        elif line.startswith("#"):
            name = ""
    return found


def calls(wanted: list[str], known: dict[str, list[str]]) -> set[str]:
    """Return the system calls that a list allows, which begins with one that it allows."""

    def all_of(word: str) -> set[str]:
        return set().union(*map(all_of, known[word])) if word.startswith("@") else {word}

    allowed = all_of("@default")
    for word in wanted:
        allowed = allowed - all_of(word[1:]) if word.startswith("~") else allowed | all_of(word)
    return allowed


def close_files(unit: dict[str, list[str]]) -> None:
    """Make the files what the unit leaves of them."""

    def mount(*words: str) -> None:
        subprocess.run(["mount", *words], check=True)

    user = pwd.getpwnam(unit["User"][0])
    mount("--make-rprivate", "/")
    for key, above in (("RuntimeDirectory", "/run"), ("StateDirectory", "/var/lib"), ("LogsDirectory", "/var/log")):
        for name in unit.get(key, []):
            folder = Path(above, name)
            folder.mkdir(exist_ok=True)
            os.chown(folder, user.pw_uid, user.pw_gid)
            folder.chmod(int(unit.get(f"{key}Mode", ["0755"])[0], 8))
            mount("--bind", str(folder), str(folder))
    assert unit["ProtectSystem"] == ["strict"]
    mount("-o", "remount,bind,ro", "/")
    mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", "/tmp")
    subset = ",subset=pid" if unit.get("ProcSubset") == ["pid"] else ""
    mount("-t", "proc", "-o", f"hidepid={unit['ProtectProc'][0]}{subset}", "proc", "/proc")
    if unit.get("ProtectKernelTunables") == ["yes"] and not subset:
        mount("--bind", "/proc/sys", "/proc/sys")
        mount("-o", "remount,bind,ro", "/proc/sys")


def close_calls(unit: dict[str, list[str]], known: dict[str, list[str]]) -> None:
    """Load the filters, for this process and all that it becomes and starts."""
    refused = _ERROR | getattr(errno, unit["SystemCallErrorNumber"][0])
    allowed = Filter(refused)
    for call in sorted(calls(unit["SystemCallFilter"], known)):
        allowed.add(_ALLOW, call)
    rest = Filter(_ALLOW)
    if unit.get("MemoryDenyWriteExecute") == ["yes"]:
        both = _PROT_WRITE | _PROT_EXEC
        rest.add(_ERROR | errno.EPERM, "mmap", _Compare(2, _MASKED_EQ, both, both))
        rest.add(_ERROR | errno.EPERM, "mprotect", _Compare(2, _MASKED_EQ, _PROT_EXEC, _PROT_EXEC))
        rest.add(_ERROR | errno.EPERM, "pkey_mprotect", _Compare(2, _MASKED_EQ, _PROT_EXEC, _PROT_EXEC))
    if unit.get("RestrictNamespaces") == ["yes"]:
        for flag in _NEW_NAMESPACES:
            rest.add(_ERROR | errno.EPERM, "unshare", _Compare(0, _MASKED_EQ, flag, flag))
            rest.add(_ERROR | errno.EPERM, "clone", _Compare(0, _MASKED_EQ, flag, flag))
        rest.add(_ERROR | errno.ENOSYS, "clone3")
        rest.add(_ERROR | errno.EPERM, "setns")
    families = {int(getattr(socket, name)) for name in unit["RestrictAddressFamilies"]}
    for family in set(range(48)) - families:
        rest.add(_ERROR | errno.EAFNOSUPPORT, "socket", _Compare(0, _EQ, family, 0))
    rest.load()
    allowed.load()


def main() -> None:
    unit, known, command = read(Path(sys.argv[1])), groups(Path(sys.argv[2]).read_text()), sys.argv[3:]
    if os.environ.get("AS_UNIT_STEP") != "filter":
        close_files(unit)
        wanted = [name.lower().removeprefix("cap_") for name in unit.get("CapabilityBoundingSet", [])]
        ambient = [name.lower().removeprefix("cap_") for name in unit.get("AmbientCapabilities", [])]
        user = pwd.getpwnam(unit["User"][0])
        rights = [
            f"--reuid={user.pw_uid}",
            f"--regid={user.pw_gid}",
            "--init-groups",
            f"--bounding-set={','.join(['-all', *(f'+{name}' for name in wanted)])}",
            f"--inh-caps={','.join(['-all', *(f'+{name}' for name in ambient)])}",
            f"--ambient-caps={','.join(['-all', *(f'+{name}' for name in ambient)])}",
            "--no-new-privs",
        ]
        os.umask(int(unit["UMask"][0], 8))
        os.environ["AS_UNIT_STEP"] = "filter"
        os.execvp("setpriv", ["setpriv", *rights, sys.executable, *sys.argv])
    del os.environ["AS_UNIT_STEP"]
    close_calls(unit, known)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
