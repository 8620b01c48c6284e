"""What lines of haproxy.cfg come to that no key of lbapp stands for, and that change nothing for clients and servers.

Responsible for which these are, and why each is not needed. Knows nothing of the lines that are taken.

Invariant: no line stands here that keeps a client out, or that decides where a request goes or what a server or a client sees
of it.
"""

from __future__ import annotations

from typing import Final

from lbapp.migrate.outcome import Ledger, Line

_PROCESS: Final = "it is about HAProxy's own process"
_ITSELF: Final = "lbapp does so by itself"
_SHOWN: Final = "lbapp shows it in the console, `lbapp status` and /metrics"
_LOG: Final = "what a line of lbapp's access log has is in docs/observability.md"
_TLS: Final = "lbapp speaks TLS 1.2 and 1.3 with ciphers of its own choice, all with forward secrecy"
_KEEP_ALIVE: Final = "lbapp keeps connections open on both sides wherever the other side does"

_GLOBAL: Final = {
    _PROCESS: (
        "daemon user group uid gid chroot pidfile nbproc nbthread cpu-map node description ulimit-n "
        "maxpipes maxcomprate maxcompcpuusage maxzlibmem spread-checks localpeer "
        "set-dumpable master-worker mworker-max-reloads external-check numa-cpu-mapping thread-groups "
        "threads-per-group unix-bind noepoll nosplice nogetaddrinfo noreuseport zero-warning strict-limits "
        "server-state-base server-state-file insecure-fork-wanted insecure-setuid-wanted "
        "expose-experimental-directives lua-load-per-thread lua-load lua-prepend-path presetenv setenv unsetenv "
        "resetenv h1-case-adjust grace default-path ssl-engine tune.ssl.default-dh-param busy-polling limited-quic"
    ),
    _SHOWN: "stats",
    _LOG: "log-tag log-send-hostname",
    _TLS: (
        "ssl-default-bind-ciphers ssl-default-bind-ciphersuites ssl-default-bind-options ssl-default-bind-curves "
        "ssl-default-server-ciphers ssl-default-server-ciphersuites ssl-default-server-options ssl-dh-param-file "
        "ssl-load-extra-files ssl-load-extra-del-ext ssl-skip-self-issued-ca"
    ),
}
_OPTIONS: Final = {
    _ITSELF: (
        "redispatch http-keep-alive tcpka clitcpka srvtcpka splice-auto splice-request splice-response "
        "tcp-smart-accept tcp-smart-connect contstats independent-streams persist http-no-delay nolinger "
        "abortonclose http-buffer-request"
    ),
    _KEEP_ALIVE: "http-server-close httpclose http-tunnel forceclose http-pretend-keepalive prefer-last-server",
    _LOG: (
        "httplog tcplog httpslog dontlognull dontlog-normal logasap log-separate-errors log-health-checks "
        "socket-stats http-ignore-probes"
    ),
}
_PROXY: Final = {
    _PROCESS: "bind-process id guid description load-server-state-from-file backlog grace",
    _ITSELF: "http-reuse hash-type redispatch redisp",
    "it is for minconn, which is not taken": "fullconn",
    _SHOWN: "stats",
    _LOG: "log-format log-format-sd error-log-format log-tag unique-id-format capture log-steps",
}
_TIMEOUTS: Final = ("client-fin", "server-fin", "tarpit")
_RULES: Final = frozenset(
    (
        "capture", "set-log-level", "set-nice", "set-tos", "set-mark", "set-fc-mark", "set-bc-mark", "wait-for-body",
        "wait-for-handshake", "strict-mode", "inspect-delay",
    )
)  # fmt: skip


def _by_word(groups: dict[str, str]) -> dict[str, str]:
    return {word: why for why, words in groups.items() for word in words.split()}


_OF_GLOBAL: Final = _by_word(_GLOBAL)
_OF_OPTIONS: Final = _by_word(_OPTIONS)
_OF_PROXY: Final = _by_word(_PROXY)


def is_rule_without_weight(line: Line) -> bool:
    """Say whether a rule changes nothing that clients or servers meet."""
    words = [word for word in line.words[1:3] if word not in ("connection", "content", "session")]
    return bool(words) and words[0] in _RULES


def say_what_is_not_needed(ledger: Ledger, line: Line, section: str) -> None:
    """Say so of a line of a section of this kind that is not needed; of others say nothing."""
    word = line.words[1] if len(line.words) > 1 else ""
    if line.key == "no" and len(line.words) > 2:
        if word == "option" and _OF_OPTIONS.get(line.words[2]) == _ITSELF:
            ledger.differs(line, "lbapp does so all the same")
        elif line.number not in ledger.said:
            ledger.not_needed(line, "what it takes away is not taken")
        return
    if section == "global":
        why = _OF_GLOBAL.get(line.key)
        why = (
            _PROCESS
            if why is None and line.key.startswith(("tune.", "profiling.", "51degrees", "deviceatlas"))
            else why
        )
    elif line.key == "option":
        why = _OF_OPTIONS.get(word)
    elif line.key == "timeout":
        why = "lbapp ends them by its own limits" if word in _TIMEOUTS else None
    else:
        why = _OF_PROXY.get(line.key)
    if why is not None and line.number not in ledger.not_taken:
        ledger.not_needed(line, why)
