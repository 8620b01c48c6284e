"""Every module has its tests in the same place of the tree, and nothing in the tree belongs to one machine."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Shown by a test that stands elsewhere because it needs the real thing around it.
TESTED_BY = {
    "lbapp/migrate/haproxy_check.py": "tests/migrate/test_haproxy_pool.py",
    "lbapp/migrate/haproxy_conditions.py": "tests/migrate/test_haproxy_effects.py",
    "lbapp/migrate/haproxy_found.py": "tests/migrate/test_haproxy_effects.py",
    "lbapp/migrate/haproxy_known.py": "tests/migrate/test_haproxy.py",
    "lbapp/migrate/haproxy_routes.py": "tests/migrate/test_haproxy_effects.py",
    "lbapp/migrate/haproxy_values.py": "tests/migrate/test_haproxy_effects.py",
    "lbapp/migrate/nginx_known.py": "tests/migrate/test_nginx.py",
    "lbapp/migrate/nginx_headers.py": "tests/migrate/test_nginx_servers.py",
    "lbapp/migrate/nginx_limits.py": "tests/migrate/test_nginx.py",
    "lbapp/migrate/nginx_locations.py": "tests/migrate/test_nginx_servers.py",
    "lbapp/migrate/nginx_pages.py": "tests/migrate/test_nginx_servers.py",
    "lbapp/migrate/nginx_stream.py": "tests/migrate/test_nginx.py",
    "lbapp/migrate/foreign.py": "tests/cli/test_importing.py",
    "lbapp/migrate/outcome.py": "tests/migrate/test_haproxy.py",
    "lbapp/__main__.py": "tests/cli/test_main.py",
    "lbapp/engine/worker/__main__.py": "tests/engine/supervisor/test_workers.py",
    "lbapp/cli/demo/engine.py": "tests/system/test_demo.py",
    "lbapp/cli/demo/keeper.py": "tests/system/test_demo.py",
    "lbapp/cli/demo/parent.py": "tests/system/test_demo.py",
    "lbapp/cli/demo/run.py": "tests/system/test_demo.py",
    "lbapp/cli/demo/traffic.py": "tests/system/test_demo.py",
    "lbapp/cli/dns.py": "tests/system/test_dns.py",
    "lbapp/cluster/dns/main.py": "tests/system/test_dns.py",
    "lbapp/config/document.py": "tests/config/test_load.py",
    "lbapp/cluster/follow.py": "tests/cluster/test_fleet.py",
    "lbapp/cluster/handing.py": "tests/cluster/test_fleet.py",
    "lbapp/cluster/handoff/host.py": "tests/system/cluster/test_handoff.py",
    "lbapp/config/table.py": "tests/config/test_schema.py",
    "lbapp/cli/persistence.py": "tests/system/test_persistence.py",
    "lbapp/config/schema.py": "tests/config/test_load.py",
    "lbapp/config/secrets.py": "tests/config/test_persistence.py",
    "lbapp/config/values.py": "tests/config/test_load.py",
    "lbapp/control/client.py": "tests/system/test_traffic.py",
    "lbapp/engine/main.py": "tests/system/test_start.py",
    "lbapp/engine/policy/balance/base.py": "tests/engine/policy/balance/test_factory.py",
    "lbapp/engine/policy/drain.py": "tests/engine/policy/test_decisions.py",
    "lbapp/engine/policy/health.py": "tests/engine/policy/test_decisions.py",
    "lbapp/engine/policy/retry.py": "tests/engine/policy/test_decisions.py",
    "lbapp/engine/policy/routing.py": "tests/engine/policy/test_decisions.py",
    "lbapp/engine/scoreboard/layout.py": "tests/engine/worker/test_exchange.py",
    "lbapp/engine/scoreboard/segment.py": "tests/engine/worker/test_exchange.py",
    "lbapp/engine/scoreboard/totals.py": "tests/engine/worker/test_exchange.py",
    "lbapp/engine/worker/accept.py": "tests/engine/worker/test_exchange.py",
    "lbapp/engine/worker/download.py": "tests/engine/worker/test_exchange.py",
    "lbapp/engine/worker/downstream.py": "tests/engine/worker/test_exchange.py",
    "lbapp/engine/worker/ended.py": "tests/engine/worker/test_exchange.py",
    "lbapp/engine/supervisor/probe_stream.py": "tests/engine/supervisor/test_probes.py",
    "lbapp/engine/supervisor/probe_tls.py": "tests/engine/supervisor/test_checks.py",
    "lbapp/engine/supervisor/targets.py": "tests/engine/supervisor/test_checks.py",
    "lbapp/cli/start.py": "tests/cli/test_main.py",
    "lbapp/cli/reload.py": "tests/system/test_reload.py",
    "lbapp/engine/supervisor/calls.py": "tests/engine/supervisor/test_api.py",
    "lbapp/engine/supervisor/departures.py": "tests/system/test_reload.py",
    "lbapp/engine/supervisor/generation.py": "tests/system/test_reload.py",
    "lbapp/engine/supervisor/file_look.py": "tests/engine/supervisor/test_api_configuration.py",
    "lbapp/engine/supervisor/reload_words.py": "tests/system/test_reload.py",
    "lbapp/engine/supervisor/reload.py": "tests/system/test_reload.py",
    "lbapp/cli/members.py": "tests/system/test_members.py",
    "lbapp/cli/past.py": "tests/system/test_history.py",
    "lbapp/cli/tui.py": "tests/system/test_ssh.py",
    "lbapp/engine/supervisor/bodies.py": "tests/engine/supervisor/test_commands.py",
    "lbapp/control/wording.py": "tests/tui/test_wording.py",
    "lbapp/cli/bundle.py": "tests/system/test_bundle.py",
    "lbapp/cli/upgrade.py": "tests/system/test_upgrade.py",
    "lbapp/engine/supervisor/http_server.py": "tests/engine/supervisor/test_control_socket.py",
    "lbapp/engine/supervisor/upgrade.py": "tests/system/test_upgrade.py",
    "lbapp/cli/fleet_maker.py": "tests/system/test_fleet.py",
    "lbapp/engine/supervisor/fleet_changes.py": "tests/system/test_fleet_actions.py",
    "lbapp/engine/supervisor/fleet_configurations.py": "tests/system/test_fleet_configurations.py",
    "lbapp/engine/supervisor/fleet_words.py": "tests/system/test_fleet_configurations.py",
    "lbapp/engine/supervisor/metrics_fleet.py": "tests/system/test_fleet.py",
    "lbapp/engine/supervisor/making.py": "tests/system/test_fleet_actions.py",
    "lbapp/engine/supervisor/node_commands.py": "tests/system/test_fleet_drain.py",
    "lbapp/model/readiness.py": "tests/config/test_readiness.py",
    "lbapp/engine/supervisor/fleet_link.py": "tests/system/test_fleet.py",
    "lbapp/engine/supervisor/fleet_node.py": "tests/system/test_fleet.py",
    "lbapp/engine/supervisor/fleet_status.py": "tests/system/test_fleet.py",
    "lbapp/engine/supervisor/server_state.py": "tests/engine/supervisor/test_state.py",
    "lbapp/engine/worker/generation.py": "tests/system/test_reload.py",
    "lbapp/engine/supervisor/intents.py": "tests/system/test_journal.py",
    "lbapp/cli/undo.py": "tests/system/test_journal.py",
    "lbapp/engine/supervisor/persistence.py": "tests/system/test_persistence.py",
    "lbapp/engine/worker/pause.py": "tests/engine/worker/test_retry.py",
    "lbapp/engine/worker/private.py": "tests/engine/worker/test_proxied.py",
    "lbapp/engine/worker/off_loop.py": "tests/engine/worker/test_hashing.py",
    "lbapp/engine/wire/keys.py": "tests/engine/worker/test_hashing.py",
    "lbapp/engine/worker/limited.py": "tests/engine/worker/test_queueing.py",
    "lbapp/engine/worker/pools.py": "tests/engine/worker/test_upstream.py",
    "lbapp/engine/worker/record.py": "tests/engine/worker/test_exchange.py",
    "lbapp/engine/worker/relay.py": "tests/engine/worker/test_tunnels.py",
    "lbapp/cluster/announce/asking.py": "tests/cluster/announce/test_run.py",
    "lbapp/cluster/announce/bird_text.py": "tests/cluster/announce/test_bird.py",
    "lbapp/cluster/announce/exabgp_text.py": "tests/cluster/announce/test_exabgp.py",
    "lbapp/cluster/announce/keepalived_text.py": "tests/cluster/announce/test_keepalived.py",
    "lbapp/cluster/announce/relay.py": "tests/cluster/announce/test_exabgp.py",
    "lbapp/cluster/announce/report.py": "tests/cluster/announce/test_run.py",
    "lbapp/model/announce.py": "tests/config/test_announce.py",
    "lbapp/cli/latency.py": "tests/system/test_latency.py",
    "lbapp/cli/log.py": "tests/system/test_looking.py",
    "lbapp/engine/supervisor/looking.py": "tests/system/test_looking.py",
    "lbapp/engine/worker/known.py": "tests/engine/worker/test_decisions.py",
    "lbapp/engine/worker/client_text.py": "tests/engine/worker/test_trail.py",
    "lbapp/engine/worker/obey.py": "tests/system/test_reload.py",
    "lbapp/engine/worker/captures.py": "tests/system/test_looking.py",
    "lbapp/engine/worker/sessions.py": "tests/system/test_looking.py",
    "lbapp/engine/worker/run.py": "tests/engine/worker/test_exchange.py",
    "lbapp/model/exchange_record.py": "tests/engine/wire/test_access_line.py",
    "lbapp/model/file_digest.py": "tests/control/test_config_file.py",
    "lbapp/model/entities.py": "tests/config/test_load.py",
    "lbapp/model/hashing.py": "tests/config/test_hashing.py",
    "lbapp/engine/worker/members.py": "tests/system/test_discovery.py",
    "lbapp/model/dns.py": "tests/config/test_dns.py",
    "lbapp/model/discovery.py": "tests/config/test_discovery.py",
    "lbapp/model/health.py": "tests/config/test_health.py",
    "lbapp/model/transport.py": "tests/config/test_transport.py",
    "lbapp/model/tls.py": "tests/config/test_tls.py",
    "lbapp/model/errors.py": "tests/config/test_load.py",
    "lbapp/tui/changes.py": "tests/tui/test_app.py",
    "lbapp/tui/filling.py": "tests/tui/test_acting.py",
    "lbapp/tui/hosts_watch.py": "tests/tui/test_hosts_app.py",
    "lbapp/tui/fleet_news.py": "tests/tui/test_fleet_acting.py",
    "lbapp/tui/scoping.py": "tests/tui/test_fleet_acting.py",
    "lbapp/tui/columns.py": "tests/tui/test_app.py",
    "lbapp/tui/feed.py": "tests/tui/test_app.py",
    "lbapp/tui/format.py": "tests/tui/test_app.py",
    "lbapp/tui/glyphs.py": "tests/tui/test_app.py",
    "lbapp/tui/wording.py": "tests/tui/test_app.py",
    "lbapp/tui/keys.py": "tests/tui/test_commanding.py",
    "lbapp/tui/journal.py": "tests/tui/test_changes.py",
    "lbapp/tui/dialogs/frame.py": "tests/tui/test_acting.py",
    "lbapp/tui/pane.py": "tests/tui/test_app.py",
    "lbapp/tui/widgets/block.py": "tests/tui/screens/test_server.py",
    "lbapp/tui/widgets/scroll.py": "tests/tui/screens/test_server.py",
    "lbapp/tui/screens/config.py": "tests/system/test_console_config.py",
    "lbapp/tui/editing.py": "tests/system/test_console_config.py",
    "lbapp/tui/scene.py": "tests/tui/test_app.py",
    "lbapp/tui/source.py": "tests/tui/test_app.py",
    "lbapp/tui/looked_at.py": "tests/tui/screens/test_requests.py",
    "lbapp/tui/why.py": "tests/tui/screens/test_requests.py",
    "lbapp/tui/travelling.py": "tests/tui/test_travel.py",
    "lbapp/tui/screens/events.py": "tests/tui/test_app.py",
    "lbapp/tui/screens/pool.py": "tests/tui/test_app.py",
    "lbapp/tui/screens/pools.py": "tests/tui/test_app.py",
    "lbapp/tui/screens/servers.py": "tests/tui/test_app.py",
    "lbapp/tui/dialogs/page.py": "tests/tui/test_app.py",
    "lbapp/tui/widgets/status_line.py": "tests/tui/test_app.py",
}
# Names and types only: nothing that a test could show.
DECLARATIONS = {
    "lbapp/cluster/announce/backend.py",
    "lbapp/control/changes.py",
    "lbapp/control/fleet.py",
    "lbapp/control/decisions.py",
    "lbapp/control/latency.py",
    "lbapp/control/looking.py",
    "lbapp/control/messages.py",
    "lbapp/control/past.py",
    "lbapp/control/standing.py",
    "lbapp/engine/questions.py",
    "lbapp/model/access_log.py",
    "lbapp/model/decision.py",
    "lbapp/model/capacity.py",
    "lbapp/model/handoff.py",
    "lbapp/model/journal.py",
    "lbapp/model/limits.py",
    "lbapp/model/log_filter.py",
    "lbapp/model/passive.py",
    "lbapp/model/tracing.py",
    "lbapp/model/outcomes.py",
    "lbapp/model/persistence.py",
}


def tracked_files() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [name for name in names if name and (ROOT / name).is_file()]


def test_every_module_has_its_tests_in_the_same_place() -> None:
    missing = []
    for path in sorted((ROOT / "lbapp").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if path.name == "__init__.py" or name in DECLARATIONS:
            continue
        mirrored = Path("tests", *path.relative_to(ROOT / "lbapp").parts[:-1], f"test_{path.name}").as_posix()
        if not (ROOT / TESTED_BY.get(name, mirrored)).exists():
            missing.append(f"{name}: no {mirrored}")
    assert not missing, "\n".join(missing)


def test_exceptions_from_the_mirror_are_not_out_of_date() -> None:
    for name, test in TESTED_BY.items():
        assert (ROOT / name).exists(), name
        assert (ROOT / test).exists(), test
    for name in DECLARATIONS:
        assert (ROOT / name).exists(), name


def test_no_file_names_a_place_on_one_machine() -> None:
    place = re.compile(r"(?<![\w.~-])/(?:home|root|work|Users)/[\w.]")
    for name in tracked_files():
        try:
            text = (ROOT / name).read_text()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            assert not place.search(line), f"{name}:{number}"


def test_scripts_can_be_run() -> None:
    for name in ("scripts/setup", "scripts/demo", "scripts/test", ".ci/run"):
        assert (ROOT / name).stat().st_mode & 0o111, name
        assert (ROOT / name).read_text().startswith("#!/usr/bin/env bash\n"), name
        assert "set -euo pipefail" in (ROOT / name).read_text(), name


def test_every_test_that_the_docs_name_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs/invariants.md").read_text())
    assert named
    missing = [
        f"{path}::{test}"
        for path, test in named
        if not (ROOT / path).exists() or f"def {test}(" not in (ROOT / path).read_text()
    ]
    assert not missing, "\n".join(missing)


def test_every_file_that_the_docs_name_exists() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for name in re.findall(r"`((?:lbapp|tests|docs|conf|scripts|packaging)/[\w./-]+)`", page.read_text()):
            assert (ROOT / name).exists(), f"{page.name} names {name}"


def test_every_dependency_has_its_reason_written_down() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    reasons = (ROOT / "docs/decisions/dependencies.md").read_text()
    for dependency in project["dependencies"]:
        name = re.split(r"[<>=~\[]", dependency)[0]
        assert f"\n| {name} |" in reasons, name
