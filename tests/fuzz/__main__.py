"""`python -m tests.fuzz`: the fuzzer, the mutation run and the differential run from the command line."""

from __future__ import annotations

import sys

import click

from tests.fuzz import coverage_guided, differential, mutate
from tests.fuzz.targets import TARGETS


@click.group()
def main() -> None:
    """Fuzz lbapp."""


@main.command("atheris")
@click.option("--seconds", default=30, show_default=True)
@click.argument("targets", nargs=-1, type=click.Choice(list(TARGETS)))
def run_atheris(seconds: int, targets: tuple[str, ...]) -> None:
    """Feed each target with what its coverage suggests; all of them if none is named."""
    if coverage_guided.IS_MISSING:
        raise click.ClickException("atheris is not installed: pip install 'lbapp[fuzz]'")
    failed = False
    for target in targets or tuple(TARGETS):
        found = coverage_guided.fuzz(target, seconds)
        click.echo(
            f"{target}: {found.executions} executions in {seconds} s, coverage {found.coverage}, features {found.features}, "
            f"{'a FINDING' if found.finding else 'no finding'}"
        )
        if found.finding:
            failed = True
            click.echo(found.finding)
    sys.exit(failed)


@main.command("mutate")
@click.option("--count", default=1000, show_default=True)
@click.option("--seed", default=1, show_default=True)
def run_mutate(count: int, seed: int) -> None:
    """Change vectors a little and look whether anything unsound leaves lbapp, or a victim is harmed."""
    found = mutate.run_mutations(count, seed)
    click.echo(f"{count} changes in {found.seconds:.1f} s, {len(found.findings)} findings")
    for statuses, number in found.statuses.most_common(12):
        click.echo(f"{number:7} answered {statuses}")
    for finding in found.findings[:20]:
        click.echo(finding)
    sys.exit(bool(found.findings))


@main.command("differential")
@click.option("--write", type=click.Path(), help="The page whose table of differences is replaced.")
def run_differential(write: str | None) -> None:
    """Run every vector through lbapp, HAProxy and nginx, and list where they differ and why."""
    report = differential.report(differential.compare())
    click.echo(report)
    if write is not None:
        differential.write_into(write, report)


if __name__ == "__main__":
    main()
